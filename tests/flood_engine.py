"""An engine of napari's side without weights: a flood fill stands in for the network."""

from __future__ import annotations

import threading

from fakes import FloodPredictor
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource


class FloodEngine:
    """Opens sessions that answer with a flood fill, when they are allowed to."""

    model, device, device_name, loaded = "flood", "cpu", "cpu", True

    def __init__(self) -> None:
        self.predictor = FloodPredictor()
        self.may_answer = threading.Event()
        self.may_answer.set()
        decode = self.predictor.decode

        def decode_when_allowed(*arguments):
            self.may_answer.wait(10)
            return decode(*arguments)

        self.predictor.decode = decode_when_allowed

    def open(self, image, labels=None, **settings) -> Session:
        session = Session(ImageSource(image, **settings), self.predictor)
        if labels is not None:
            session.adopt(labels)
        return session
