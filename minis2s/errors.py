"""Errors that a user can act on: one line that names the cause and the remedy, shown without a traceback."""


class UserError(Exception):
    """Something outside the program is wrong; the message says what it is and what to do about it."""


class DataError(UserError):
    """A data file cannot be used: missing, empty, of the wrong shape or encoding."""


class ConfigError(UserError):
    """A task, key or value does not exist or does not fit."""


class CheckpointError(UserError):
    """A checkpoint or run directory is missing, damaged or of another version."""


class DeviceError(UserError):
    """The device that was asked for cannot be used."""
