"""The world that agents share: the model and its month, markets, ledger, network, kernel, scenarios."""
