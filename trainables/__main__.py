"""One trial without a sweep: ``python -m trainables trial.yaml``. JSON on stdout, progress on stderr."""

import argparse
import errno
import json
import os
import shlex
import sys
import tempfile
import time
from pathlib import Path

import torch

from trainables.config import load_trial
from trainables.controls.measure import check_controls, measure_controls
from trainables.controls.options import Controls
from trainables.errors import ConfigError
from trainables.runtime.run import device_of_this_process
from trainables.runtime.terminal import say, tolerant_streams, write
from trainables.stages.data import data_warnings
from trainables.stages.judge import check_judges
from trainables.storage.store import Store
from trainables.trial import run_trial


class _Lines:
    """Print a line when a stage starts and ends, and every few seconds between, with the time left."""

    def __init__(self) -> None:
        self.stage, self.started, self.printed = "", 0.0, 0.0

    def __call__(self, stage: str, done: int, total: int, **metrics: float) -> None:
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.started, self.printed = stage, now, 0.0
        if done < total and now - self.printed < 5:
            return
        self.printed = now
        left = f", {(now - self.started) / done * (total - done):.0f} s left" if 0 < done < total else ""
        figures = "".join(f", {name} {value:.4g}" for name, value in metrics.items())
        say(f"{stage}: {done} of {total}{left}{figures}")


def _check_usable(home: Path, device: str) -> None:
    """Raise `ConfigError` if `home` cannot be written or `device` is none of this machine."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ConfigError(
            f"expected a home that can be written, got {home} ({error.strerror}); choose another with --home"
        ) from None
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"expected a torch device of this machine, got '{device}': {reason}") from None


def main(arguments: list[str] | None = None) -> int:
    """Run the trial and return the exit code: 0 done, 1 failed, 2 a mistake in the file or the data."""
    tolerant_streams()
    parser = argparse.ArgumentParser(
        prog="python -m trainables",
        description="Run one trial: train a target, attack it, judge the reconstructions.",
        epilog="example: python -m trainables trial.yaml --home sweeps > result.json",
    )
    parser.add_argument("trial", type=Path, help="YAML file that describes the trial")
    home = os.environ.get("SWEEPER_HOME", "sweeps")
    parser.add_argument("--home", type=Path, default=Path(home), help="where finished stages are kept")
    default = device_of_this_process()
    parser.add_argument("--device", default=default, help=f"torch device (here: {default})")
    parser.add_argument(
        "--controls",
        action="store_true",
        help="measure floor, ceiling and control targets too: what the trial's figures can tell",
    )
    options = parser.parse_args(arguments)
    options.trial, options.home = options.trial.expanduser(), options.home.expanduser()
    try:
        config = load_trial(options.trial)
        _check_usable(options.home, options.device)
        if options.controls:
            check_controls(config, Controls())
        check_judges(config)
        for text in data_warnings(config):
            say(f"WARNING: {text}")
        store, lines = Store(options.home / "store"), _Lines()
        result = run_trial(config, store=store, device=options.device, report=lines).to_json()
        if options.controls:
            controls = measure_controls(config, store=store, device=options.device, report=lines)
            result["controls"] = controls.to_json()
    except KeyboardInterrupt:
        words = shlex.join(sys.argv[1:] if arguments is None else arguments)
        say(f"stopped; finished stages are kept. Go on with: python -m trainables {words}")
        return 130
    except ConfigError as error:
        say(f"error: {error}")
        return 2
    except (RuntimeError, OSError) as error:
        say(f"error: {error}")
        return 1
    write(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
