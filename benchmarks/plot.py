"""A plot of cost against hosts, as SVG."""

from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, MARGIN = 640, 400, 60
COLOURS = ("#1f77b4", "#999999")
Points = Sequence[tuple[float, float]]


def svg(title: str, across: str, up: str, lines: Mapping[str, Points]) -> str:
    """Lines in a plot whose axes begin at 0.

    Args:
        title: What is shown.
        across: What the horizontal axis counts.
        up: What the vertical axis counts.
        lines: Name of each line, with its points.
    """
    most_x = max(x for points in lines.values() for x, _ in points)
    most_y = max(y for points in lines.values() for _, y in points)

    def place(x: float, y: float) -> str:
        right = MARGIN + x / most_x * (WIDTH - 2 * MARGIN)
        return f"{right:.1f},{HEIGHT - MARGIN - y / most_y * (HEIGHT - 2 * MARGIN):.1f}"

    def text(point: str, words: str, anchor: str = "middle") -> str:
        x, y = point.split(",")
        return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="12">{words}</text>'

    bottom, left = HEIGHT - MARGIN + 18, MARGIN - 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">',
        '<rect width="100%" height="100%" fill="white"/>',
        text(f"{WIDTH / 2},24", title),
        text(f"{WIDTH / 2},{HEIGHT - 16}", across),
        text(f"{left},{MARGIN - 16}", up),
        f'<path d="M{place(0, most_y)} L{place(0, 0)} L{place(most_x, 0)}" fill="none" stroke="black"/>',
        text(f"{left},{HEIGHT - MARGIN + 4}", "0", "end"),
        text(f"{left},{MARGIN + 4}", f"{most_y:.3g}", "end"),
    ]
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(place(x, y) for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        right, height = place(*points[-1]).split(",")
        parts.append(f'<g fill="{colour}">{text(f"{right},{float(height) - 8}", name, "end")}</g>')
    for x, _ in next(iter(lines.values())):
        parts.append(text(f"{place(x, 0).split(',')[0]},{bottom}", f"{x:g}"))
    return "\n".join([*parts, "</svg>\n"])
