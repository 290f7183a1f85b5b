"""``up`` and ``plan`` with nothing to do over links with 100 ms of round-trip delay, against links without.

Not by the kernel, which may lack netem: every host gets a second SSH port, where this module passes all on
with half the delay each way. A new connection costs one round trip more, as TCP's handshake would.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from benchmarks import clusters
from benchmarks.harness import Bench, main, seconds
from k8sbootstrap.lab import model, nspawn

ROUND_TRIP = 0.1
PORT = 2222
COMMANDS = ("up", "plan")


@contextmanager
def far_hosts(lab: clusters.Lab) -> Iterator[Path]:
    """The same cluster with every host far away, as a cluster file for the ``with`` block."""
    there = model.require(lab.file)
    with ExitStack() as stack:
        for host in there.hosts:
            enter = ["nsenter", f"--target={nspawn.leader(there, host)}", "--net", "--"]
            command = [*enter, sys.executable, "-m", "benchmarks.delay", "serve", there.address(host)]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(process.terminate)
            assert process.stdout  # noqa: S101 - for mypy
            process.stdout.readline()  # it listens
        known = lab.state / "known_hosts"
        lines = [line.split(" ", 1) for line in known.read_text().splitlines()]
        known.write_text("".join(f"{name} {key}\n[{name}]:{PORT} {key}\n" for name, key in lines))
        yield lab.variant("far.yaml", lambda config: config["ssh"].update(port=PORT))


def run(bench: Bench) -> None:
    """Measure."""
    with clusters.hosts() as lab:
        lab.k("up")
        with far_hosts(lab) as far:
            sides = {f"{name}, near": lambda name=name: seconds(lab.k, name) for name in COMMANDS}
            sides |= {f"{name}, far": lambda name=name: seconds(lab.k, name, file=far) for name in COMMANDS}
            bench.alternate(sides)
    for name in COMMANDS:
        longer = bench.median(f"{name}, far") - bench.median(f"{name}, near")
        bench.figure(f"{name}, far", f"{name}, near", longer / ROUND_TRIP, "round trips more", 10)


async def _serve(address: str) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(ROUND_TRIP)
        host_reader, host_writer = await asyncio.open_connection(address, 22)
        with suppress(ConnectionError):
            await asyncio.gather(_pass_on(reader, host_writer), _pass_on(host_reader, writer))
        writer.close()
        host_writer.close()

    server = await asyncio.start_server(connected, address, PORT)
    print("listening", flush=True)
    await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write what is read, each piece half a round trip later, however many are on their way."""
    loop = asyncio.get_running_loop()
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due, data = await on_the_way.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    arriving = asyncio.create_task(arrive())
    data = b"-"
    while data:
        data = await reader.read(65536)
        on_the_way.put_nowait((loop.time() + ROUND_TRIP / 2, data))
    await arriving


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(_serve(sys.argv[2]))
    else:
        main(run)
