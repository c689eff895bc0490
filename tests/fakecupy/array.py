"""The device array, and how one operation is checked, counted and carried out."""

from __future__ import annotations

import json
import math
import pathlib

import numpy as np

from .counting import check_dtype, hidden_copy, launch, sync, upload

SURFACE = json.loads(pathlib.Path(__file__).with_name("cupy_surface.json").read_text())

WAITING = {
    *("argwhere", "average", "bincount", "choose", "compress", "delete", "extract", "flatnonzero", "histogram"),
    *("interp", "nonzero", "put", "trim_zeros", "unique"),
}
"""Functions that wait for the device, because the size of their result or an error depends on its values."""

SIZED = dict.fromkeys(("arange", "empty", "eye", "full", "identity", "linspace", "ones", "tri", "zeros"), 0)
SIZED |= dict.fromkeys(("array_split", "broadcast_to", "repeat", "reshape", "split", "tile"), 1)
"""Functions whose positional arguments from this one on (but `full`'s value) are sizes, which the host must know."""

KERNELS = {"empty": 0, "empty_like": 0, "var": 3, "std": 4, "einsum": 3}
KERNELS |= dict.fromkeys(("sort", "argsort", "partition", "argpartition", "lexsort"), 3)
"""Kernels of functions that do not start exactly one."""

ARRAYS_FIRST = {"concatenate", "hstack", "stack", "vstack"}
"""Functions of a sequence of arrays; for more than eight CuPy sends a table of pointers and starts one kernel."""

Scalar = (bool, int, float, complex, np.generic)


# ------------------------------------------------------------------------------------------------- in and out


def wrap(host):
    """Put a NumPy array, scalar, or a list or tuple of them on the device."""
    if isinstance(host, (list, tuple)):
        return type(host)(wrap(part) for part in host)
    if not isinstance(host, (np.ndarray, np.generic)):
        return host
    array = object.__new__(ndarray)
    array._host = np.asarray(host)
    return array


def unwrap(x, name):
    """The NumPy array inside a device array; whatever CuPy takes besides stays as it is. Host arrays are refused."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type numpy.ndarray in {name}: the array is on the host, move it by to_device")
    if isinstance(x, (list, tuple)):
        return type(x)(unwrap(part, name) for part in x)
    return x


def device_arrays(args):
    """All device arrays among arguments, those in lists and tuples too."""
    for x in args:
        if isinstance(x, ndarray):
            yield x
        elif isinstance(x, (list, tuple)):
            yield from device_arrays(x)


def overlap(a, b):
    """Do two arrays share a byte range? All that CuPy asks, so the columns of one matrix do."""
    return np.may_share_memory(a._host, b._host)


def layout(array):
    """Where an array lies: two arrays of one layout are the same numbers."""
    interface = array._host.__array_interface__
    return interface["data"], array.shape, array.strides, array.dtype


# ------------------------------------------------------------------------------------------------- one operation


def call(name, function, args, kwargs, parameters):
    """Carry out one CuPy call by its NumPy namesake, after all checks, and count it.

    `parameters` is the entry of cupy_surface.json: a number for a ufunc, else the names of the parameters.
    """
    check_arguments(name, args, kwargs, parameters)
    ufunc = isinstance(parameters, int)
    if ufunc and len(args) > parameters:
        args, kwargs = args[:parameters], kwargs | {"out": args[parameters]}
    out = kwargs.get("out")
    host_args = [unwrap(x, name) for x in args]
    host_kwargs = {key: unwrap(x, name) for key, x in kwargs.items()}
    if name in WAITING or (name == "where" and len(args) == 1):
        sync(name)
    if name in SIZED and list(device_arrays(args[SIZED[name] : 1 if name == "full" else None])):
        sync(f"a size for {name}")
    count_copies(name, args, out, ufunc=ufunc)
    with np.errstate(all="ignore"):  # a GPU does not warn
        result = function(*host_args, **host_kwargs)
    if out is not None:
        launch(name)
        return out
    result = wrap(result)
    for array in device_arrays([result]):
        check_dtype(name, array.dtype)
        if array.size and not any(overlap(array, x) for x in device_arrays(args)):  # else a view, or nothing to do
            launch(name, kernels(name, args, kwargs))
            break
    return result


def check_arguments(name, args, kwargs, parameters):
    """Refuse arguments that CuPy does not know, and lists where it wants an array."""
    ufunc = isinstance(parameters, int)
    names = ["out", "casting", "dtype"] if ufunc else parameters
    unknown = set() if "**" in names else set(kwargs) - set(names)
    if unknown:
        raise TypeError(f"cupy.{name} does not take {', '.join(sorted(unknown))}")
    most = parameters + 1 if ufunc else len(parameters)
    if "*" not in names and len(args) > most:
        raise TypeError(f"cupy.{name} takes at most {most} positional arguments, got {len(args)}")
    if ufunc and any(isinstance(x, (list, tuple)) for x in args):
        raise TypeError(f"Unsupported type list in cupy.{name}")
    if name in ARRAYS_FIRST and not all(isinstance(x, ndarray) for x in args[0]):
        raise TypeError("Only cupy arrays can be concatenated")


def count_copies(name, args, out, *, ufunc):
    """Note the copies that CuPy 14 makes around an operation."""
    inputs = list(device_arrays(args))
    if name == "matmul" and max(x.ndim for x in inputs) > 2:  # each operand row by row, and a batch of equal length
        copies = sum(not x.flags.c_contiguous for x in inputs)
        copies += 3 * (inputs[0].shape[:-2] != inputs[1].shape[:-2])  # a table of pointers each, else
    elif name in ("matmul", "dot"):
        copies = sum(not (x.flags.c_contiguous or x.flags.f_contiguous) for x in inputs)
    elif out is not None and ufunc:  # an input that overlaps the output, unless it is the very same object
        copies = sum(x is not out and overlap(x, out) for x in inputs)
    else:
        copies = 0
    if out is not None and name in ("matmul", "dot"):
        copies += not out.flags.c_contiguous or any(overlap(x, out) for x in inputs)
    if copies:
        hidden_copy(name, copies)


def kernels(name, args, kwargs):
    """How many kernels an operation starts that makes a new array."""
    if name in ARRAYS_FIRST:
        if len(args[0]) <= 8:
            return len(args[0])
        upload()
        return 1
    if name in ("cumsum", "cumprod"):
        axis = kwargs.get("axis", args[1] if len(args) > 1 and isinstance(args[0], ndarray) else None)
        return 2 if axis is None else 1 + math.ceil(math.log2(max(args[0].shape[axis], 2)))
    if name == "take_along_axis":
        return (args[0].ndim - 1) + several_index_kernels(args[0].ndim)
    if name == "repeat":
        return args[0].shape[kwargs.get("axis", 0)]
    if name == "dot" and all(x.ndim == 1 for x in args):
        return 2
    return KERNELS.get(name, 1)


def several_index_kernels(count):
    """Reading or writing at several index arrays: a fill and one kernel each to make one index, one to use it."""
    return count + 2 if count > 1 else 1


# ------------------------------------------------------------------------------------------------- the array


class ndarray:  # noqa: N801  CuPy's name
    """An array on the fake device: a NumPy array that nobody can reach without saying so."""

    __slots__ = ("__weakref__", "_host")
    __hash__ = None

    def __init__(self, *args, **kwargs):
        raise TypeError("make device arrays by asarray, zeros, empty ...")

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    T = property(lambda self: wrap(self._host.T))
    mT = property(lambda self: wrap(self._host.mT))  # noqa: N815

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    # --- what CuPy refuses, and what the project refuses

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc, method, *args, **kwargs):
        if method == "__call__" and not kwargs and any(isinstance(x, np.generic) for x in args):
            name = ufunc.__name__  # np.float32(2) * array is fine
            return call(name, ufunc, args, {}, SURFACE["functions"][name])
        raise TypeError(f"np.{ufunc.__name__} got a device array: call xp.{ufunc.__name__}")

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"np.{function.__name__} got a device array: call xp.{function.__name__}")

    # --- what makes the host wait

    def get(self):
        sync("get", downloads=1)
        return self._host.copy()

    def item(self):
        sync("item", downloads=1)
        return self._host.item()

    def tolist(self):
        sync("tolist", downloads=1)
        return self._host.tolist()

    def __float__(self):
        sync("float()", downloads=1)
        return float(self._host)

    def __int__(self):
        sync("int()", downloads=1)
        return int(self._host)

    def __index__(self):
        sync("index", downloads=1)
        return self._host.__index__()

    def __bool__(self):
        sync("bool()", downloads=1)
        return bool(self._host)

    def __contains__(self, value):
        sync("in", downloads=1)
        return value in self._host

    def __repr__(self):
        sync("repr", downloads=1)
        return f"fakecupy.{self._host!r}"

    def __reduce__(self):  # pickle and copy.deepcopy go by the host
        return _from_host, (self.get(),)

    # --- indexing

    def _index_arrays(self, key):
        """The index arrays in a key; a boolean one waits, because the size of the result depends on it."""
        for part in key:
            if isinstance(part, (np.ndarray, list)):
                raise TypeError(f"index of type {type(part).__name__}: CuPy would move it to the device unasked")
            if isinstance(part, ndarray) and part.dtype == bool:
                sync("a boolean index")
        return [part for part in key if isinstance(part, ndarray)]

    def __getitem__(self, key):
        key = key if isinstance(key, tuple) else (key,)
        arrays = self._index_arrays(key)
        host_key = tuple(unwrap(part, "index") for part in key)
        if arrays:
            launch("getitem", several_index_kernels(len(arrays)))
            return wrap(self._host[host_key])
        return wrap(self._host[host_key if Ellipsis in host_key else (*host_key, ...)])  # a[0] is a view, not a number

    def __setitem__(self, key, value):
        if not isinstance(value, (ndarray, *Scalar)):
            raise TypeError(f"a {type(value).__name__} cannot be written into a device array; move it by to_device")
        key = key if isinstance(key, tuple) else (key,)
        arrays = self._index_arrays(key)
        host_key, host_value = tuple(unwrap(part, "index") for part in key), unwrap(value, "setitem")
        if arrays:
            self._refuse_repeated(host_key)
            if not isinstance(value, ndarray):
                upload()
            self._host[host_key] = host_value
            launch("setitem", several_index_kernels(len(arrays)))
            return
        target = wrap(self._host[host_key if Ellipsis in host_key else (*host_key, ...)])
        if isinstance(value, ndarray) and overlap(target, value):
            if layout(target) == layout(value):
                return  # the end of a[0] += b: it is there already
            hidden_copy("setitem")
        target._host[...] = host_value
        launch("setitem", min(target.size, 1))

    def _refuse_repeated(self, host_key):
        places = np.arange(self.size).reshape(self.shape)[host_key]
        if np.unique(places).size < places.size:
            raise IndexError("a[index] = value with an index twice: CuPy keeps any of the values; use add.at")

    # --- methods and operators

    def __getattr__(self, name):
        if name not in SURFACE["methods"]:
            raise AttributeError(f"cupy.ndarray has no attribute {name!r}, or the fake device does not know it")
        function = getattr(np.ndarray, name)

        def method(*args, **kwargs):
            return call(name, function, (self, *args), kwargs, ["self", *SURFACE["methods"][name]])

        return method

    def fill(self, value):
        self[...] = value

    def __imatmul__(self, other):
        raise TypeError("cupy.ndarray has no in-place matmul")


def _from_host(x):
    upload()
    return wrap(np.array(x))


def _operator(name, *, swapped=False, in_place=False):
    """An operator method of `ndarray` that calls the ufunc `name`."""
    ufunc = getattr(np, name)

    def method(self, *others):
        if any(isinstance(x, np.ndarray) for x in others):
            unwrap(others[0], name)  # raises
        if not all(isinstance(x, (ndarray, *Scalar)) for x in others):
            return NotImplemented
        args = (*others, self) if swapped else (self, *others)
        parameters = SURFACE["functions"][name]
        return call(name, ufunc, args, {"out": self} if in_place else {}, parameters)

    return method


BINARY = {
    **{"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide"},
    **{"mod": "remainder", "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor"},
    **{"lshift": "left_shift", "rshift": "right_shift"},
}
COMPARISON = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}

for short, name in BINARY.items():
    setattr(ndarray, f"__{short}__", _operator(name))
    setattr(ndarray, f"__r{short}__", _operator(name, swapped=True))
    setattr(ndarray, f"__i{short}__", _operator(name, in_place=True))
for short, name in (COMPARISON | UNARY).items():
    setattr(ndarray, f"__{short}__", _operator(name))
ndarray.__matmul__ = _operator("matmul")
ndarray.__rmatmul__ = _operator("matmul", swapped=True)
