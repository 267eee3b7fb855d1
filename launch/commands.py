"""What `widesym` can be told: commands, and groups of them."""

from launch.lazily import Lazily
from launch.recipes import RECIPES

COMMANDS = {
    "train": Lazily("launch.train", "TrainCommand"),
    "sweep": Lazily("launch.sweep.command", "SweepCommand"),
    "status": Lazily("launch.status", "StatusCommand"),
    "work": Lazily("launch.sweep.work_command", "WorkCommand"),
    "kernel": Lazily("launch.kernel", "KernelCommand"),
    "ntk": Lazily("launch.ntk", "NtkCommand"),
    "analyze": Lazily("launch.analyze_command", "AnalyzeCommand"),
    "plot": Lazily("launch.plot", "PlotCommand"),
    "report": Lazily("launch.report", "ReportCommand"),
    "models": Lazily("launch.models_table", "ModelsTable"),
    "doctor": Lazily("launch.doctor", "DoctorCommand"),
}
DATA_ACTIONS = {
    "list": Lazily("launch.data", "ListSets"),
    "show": Lazily("launch.data", "ShowSet"),
    "prepare": Lazily("launch.data", "PrepareSet"),
    "verify": Lazily("launch.data", "VerifySets"),
}
GROUPS = {"data": DATA_ACTIONS, "reproduce": RECIPES}
