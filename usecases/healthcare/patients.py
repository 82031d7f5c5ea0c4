"""Invented patients for the packaged measurements: nobody's numbers, names and dates of birth."""

import json

import numpy as np
from numpy.typing import NDArray

GIVEN = (
    "Ada Agnes Alma Amira Beatriz Carmen Chiara Dilara Edith Elena Esra Fatou Freya Greta Hanna "
    "Ines Ingrid Jadwiga Joana Kaori Katrin Leila Lotte Maren Mei Mina Nadia Nora Olga Petra "
    "Priya Rosa Ruth Sanna Selma Thea Ursula Vera Wanda Zofia"
).split()
FAMILY = (
    "Abadi Albrecht Barbosa Bauer Castellano Chen Demir Dvorak Eriksen Ferrari Fischer Gruber "
    "Haddad Ivanova Jansen Kaya Kovacs Larsen Lehmann Marino Mbaye Nakamura Nowak Okafor Olsen "
    "Pereira Petrov Quist Rossi Sato Schuster Silva Tanaka Toth Ueda Vogel Weber Yilmaz Zeller"
).split()
CLINICS = ("harbour", "hill", "north", "south")


def exports(seed: int) -> tuple[bytes, bytes]:
    """The laboratory's CSV and the clinics' JSON, in orders of their own; the same for a seed."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    random = np.random.default_rng(seed)
    numbers = _numbers(len(data.target), random)
    frame = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    frame.insert(0, "patient_number", numbers)
    diagnoses = [str(data.target_names[label]) for label in data.target]
    records = _records(numbers, diagnoses, random)
    order = random.permutation(len(records))
    export = {"records": [records[place] for place in order]}
    return frame.to_csv(index=False).encode(), json.dumps(export).encode()


def _numbers(count: int, random: np.random.Generator) -> list[str]:
    return [f"PN-{n:07d}" for n in random.choice(9_000_000, count, replace=False) + 1_000_000]


def _records(
    numbers: list[str], diagnoses: list[str], random: np.random.Generator
) -> list[dict[str, str]]:
    size = len(numbers)
    names = zip(_pick(GIVEN, size, random), _pick(FAMILY, size, random), strict=True)
    born: NDArray[np.datetime64] = np.datetime64("1930-01-01") + random.integers(0, 24_000, size)
    clinics = _pick(CLINICS, size, random)
    rows = zip(numbers, names, born, clinics, diagnoses, strict=True)
    return [
        {
            "patient_number": number,
            "name": " ".join(name),
            "date_of_birth": str(birth),
            "clinic": clinic,
            "diagnosis": diagnosis,
        }
        for number, name, birth, clinic, diagnosis in rows
    ]


def _pick(
    words: "tuple[str, ...] | list[str]", size: int, random: np.random.Generator
) -> list[str]:
    return [words[place] for place in random.integers(0, len(words), size)]
