"""Tune a learning rate and the two scales of a toy language model along the front of cost and loss."""

import math

import optuna
import optunahub

carbs = optunahub.load_module(package="samplers/carbs")

space = carbs.Space(
    parameters=carbs.Log(3e6, role="scale"),
    tokens=carbs.Log(3e7, role="scale"),
    lr=carbs.Log(1e-3, role="transfer"),
)


def objective(trial: optuna.Trial) -> float:
    """Return the loss of a made-up model, and tell what it cost in PFLOP."""
    values = space.suggest(trial)
    trial.set_user_attr("cost", 6e-15 * values["parameters"] * values["tokens"])
    off = math.log10(values["lr"] / 3e-3) + 0.5 * math.log10(values["parameters"] / 1e7)
    return 1.69 + 406.4 * values["parameters"] ** -0.34 + 410.7 * values["tokens"] ** -0.28 + 0.3 * off**2


if __name__ == "__main__":
    study = optuna.create_study(sampler=carbs.CarbsSampler(space, budget=carbs.Budget(per_trial=100.0)))
    study.optimize(objective, n_trials=20)
    for trial in sorted(study.trials, key=lambda t: t.user_attrs["cost"]):
        print(f"{trial.user_attrs['cost']:10.3g} PFLOP  loss {trial.value:.3f}")
