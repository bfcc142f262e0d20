from sweeper.cli.console import show_rows


def test_a_listing_keeps_what_looks_like_markup(capsys):
    show_rows([{"name": "gmi", "summary": "pixels in [0, 1]", "source": "CVPR [oral]", "passes": 12345}])
    row = [line for line in capsys.readouterr().out.splitlines() if "gmi" in line]
    assert [[cell.strip() for cell in line.split("│")[1:-1]] for line in row] == [
        ["gmi", "pixels in [0, 1]", "CVPR [oral]", "12,345"]
    ]
