"""`python -m benchmarks.peers.torch_worker VARIANT NETWORK CORES`: PyTorch and escnn, in their own environment.

How to make it is told in tests/models/escnn/make_arrays.py.
"""

import copy
import sys
import warnings

from benchmarks.worker import Work, pin, round_robin, serve

if __name__ == "__main__":
    pin(sys.argv[3])  # before PyTorch counts the cores

import torch

from benchmarks.peers.torch_networks import EscnnGcnn, bank_gcnn, cnn
from benchmarks.published import BATCH, IMAGES, LEARNING_RATE, LOGITS, OPTIMIZER, PIXELS

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


def optimizer_of(parameters):
    """The fused one: PyTorch's fastest."""
    return OPTIMIZERS[OPTIMIZER](parameters, lr=LEARNING_RATE, fused=True)


def loss_of(logits, y):
    """1/(2N) Σ ‖f(x) − y‖², as widesym's."""
    return 0.5 * ((logits - y) ** 2).sum(-1).mean()


def data():
    """Noise in MNIST's shapes."""
    return torch.randn(IMAGES, 1, PIXELS, PIXELS), torch.randn(IMAGES, LOGITS)


def loop(make, members: int) -> Work:
    """Members in a Python loop."""
    first, (x, y) = make(), data()
    networks = [first, *(copy.deepcopy(first) for _ in range(members - 1))]  # building escnn's takes a second each
    optimizers = [optimizer_of(network.parameters()) for network in networks]

    def step_member(member: int) -> None:
        batch = torch.randint(0, IMAGES, (BATCH,))
        optimizers[member].zero_grad(set_to_none=True)
        loss_of(networks[member](x[batch]), y[batch]).backward()
        optimizers[member].step()

    return round_robin(step_member, members, BATCH)


def func_vmap(make, members: int) -> Work:
    """Members under torch.func.vmap, each with a batch of its own."""
    networks, (x, y) = [make() for _ in range(members)], data()
    params, _ = torch.func.stack_module_state(networks)
    optimizer = optimizer_of(params.values())

    def member_loss(params, batch):
        return loss_of(torch.func.functional_call(networks[0], params, (x[batch],)), y[batch])

    gradient = torch.func.vmap(torch.func.grad(member_loss))

    def run(units: int) -> None:
        for _ in range(units):
            gradients = gradient({k: p.detach() for k, p in params.items()}, torch.randint(0, IMAGES, (members, BATCH)))
            for name, p in params.items():
                p.grad = gradients[name]
            optimizer.step()

    return Work(run, members * BATCH)


def main() -> None:
    """Serve one variant."""
    variant, network = sys.argv[1:3]
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    make = {"cnn": cnn, "gcnn": bank_gcnn}[network]
    variants = {
        "loop": lambda members: loop(make, members),
        "channels_last loop": lambda members: loop(lambda: make(torch.channels_last), members),
        "vmap": lambda members: func_vmap(make, members),
        "escnn loop": lambda members: loop(EscnnGcnn, members),
    }
    serve(variants[variant])


if __name__ == "__main__":
    main()
