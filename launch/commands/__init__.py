"""What `widesym` can be told: commands, and groups of them."""

from widesym.launch.lazily import Lazily
from widesym.launch.recipes import RECIPES

COMMANDS = {
    "train": Lazily("widesym.launch.commands.train", "TrainCommand"),
    "sweep": Lazily("widesym.launch.commands.sweep", "SweepCommand"),
    "status": Lazily("widesym.launch.commands.status", "StatusCommand", light=True),
    "results": Lazily("widesym.launch.commands.results", "ResultsCommand"),
    "work": Lazily("widesym.launch.commands.work", "WorkCommand"),
    "kernel": Lazily("widesym.launch.commands.kernel", "KernelCommand"),
    "ntk": Lazily("widesym.launch.commands.ntk", "NtkCommand"),
    "analyze": Lazily("widesym.launch.commands.analyze", "AnalyzeCommand"),
    "plot": Lazily("widesym.launch.commands.plot", "PlotCommand"),
    "report": Lazily("widesym.launch.commands.report", "ReportCommand"),
    "models": Lazily("widesym.launch.commands.models", "ModelsTable"),
    "doctor": Lazily("widesym.launch.commands.doctor", "DoctorCommand"),
}
DATA_ACTIONS = {
    "list": Lazily("widesym.launch.commands.data", "ListSets"),
    "show": Lazily("widesym.launch.commands.data", "ShowSet"),
    "prepare": Lazily("widesym.launch.commands.data", "PrepareSet"),
    "verify": Lazily("widesym.launch.commands.data", "VerifySets"),
}
GROUPS = {"data": DATA_ACTIONS, "reproduce": RECIPES}
