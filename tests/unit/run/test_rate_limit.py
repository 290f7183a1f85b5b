from k8sbootstrap.run.rate_limit import RateLimit


def test_one_line_in_ten_seconds():
    now = [50.0]
    pace = RateLimit(lambda: now[0])
    heard = []
    for _ in range(26):
        heard.append(pace.is_time())
        now[0] += 1
    assert [number for number, yes in enumerate(heard) if yes] == [10, 20]
