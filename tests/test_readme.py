"""What the README tells to write works as it stands there."""

import json
import pathlib
import re

from scripts import report, sweep

README = (pathlib.Path(__file__).parent.parent / "README.md").read_text()


def test_the_readmes_own_network_and_table_train_and_are_judged_in_a_folder_of_their_own(tmp_path):
    (block,) = re.findall("```python\n(.*?)```", README, re.DOTALL)
    table, runs = tmp_path / "mine" / "widths.py", f"--workdir={tmp_path / 'runs'}"
    table.parent.mkdir()
    table.write_text(block.replace("2 epochs", "2 steps"))
    assert sweep.main([str(table), runs, "--seeds=2"]) == 0 == report.main([str(table), runs])
    results = [json.loads((tmp_path / "runs" / "small" / row / "result.json").read_text()) for row in ("10_units", "100_units")]
    assert [result["parameters"] for result in results] == [(32 * 32 + 1) * units + (units + 1) * 10 for units in (10, 100)]
    page = (table.parent / "README.md").read_text()
    assert "100 units are better than 10" in page and "paper" not in page
