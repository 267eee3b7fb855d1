"""What `widesym` can be told: commands, and groups of them."""

from launch.analyze import AnalyzeCommand
from launch.data import ACTIONS
from launch.doctor import DoctorCommand
from launch.html_report import ReportCommand
from launch.kernel import KernelCommand
from launch.models_table import ModelsTable
from launch.ntk import NtkCommand
from launch.plot import PlotCommand
from launch.recipes import RECIPES
from launch.sweep.command import SweepCommand
from launch.sweep.status import StatusCommand
from launch.sweep.work_command import WorkCommand
from launch.train import TrainCommand

COMMANDS = {
    "train": TrainCommand,
    "sweep": SweepCommand,
    "status": StatusCommand,
    "work": WorkCommand,
    "kernel": KernelCommand,
    "ntk": NtkCommand,
    "analyze": AnalyzeCommand,
    "plot": PlotCommand,
    "report": ReportCommand,
    "models": ModelsTable,
    "doctor": DoctorCommand,
}
GROUPS = {"data": ACTIONS, "reproduce": RECIPES}
