"""The web door: what platforms, API callers, monitors and browsers knock on."""
