from lifecycle.bundle import Bundle


class TabularPredictor:
    def __init__(self, bundle: Bundle) -> None: ...
