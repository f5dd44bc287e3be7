"""The flags of every command that reads a run: which checkpoint, and the file of its config."""

CHECKPOINT = dict(
    metavar="best|latest|STEP",
    help="which checkpoint of the run; best: of those that are there, by the metric that the run "
    "is judged by, on the first split that it evaluates (default latest)",
)


def add(parser) -> None:
    parser.add_argument("--checkpoint", **CHECKPOINT)
    parser.add_argument(
        "--config",
        metavar="FILE[:ARGUMENT]",
        help="run this file for what it enters in MODELS, DATASETS, ...; needed where the run's "
        "own file is gone, has changed, or is somebody else's",
    )


def chosen(flags) -> dict:
    """The flags as arguments of trained.load."""
    return dict(checkpoint=flags.checkpoint or "latest", config_file=flags.config)
