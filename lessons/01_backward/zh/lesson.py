# %% [markdown]
# # 1. 什么是反向传播
#
# **问题。** 一个网络是一个函数，里面有许多可以调整的数，叫作*权重*。还有一个数，叫作*损失*，
# 它说明网络的答案有多差。每个权重怎样影响损失？
#
# **答案，一图看懂。** 图 1 中，数字沿左侧从输入往下走到损失，这是*前向传播*。然后从最底下的数 1 出发，
# 另一串数字沿右侧往上走，这是*反向传播*。每个方框在这里都做同样的一件小事：别人告诉它，它的输出怎样影响损失；
# 它回答，它的输入怎样影响损失。

# %% tags=["hide-input"]
import inspect

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from minis2s import functional as F
from minis2s.gradcheck import check
from minis2s.lessons import load_exercises, show

exercise = load_exercises("01_backward")
BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#8a8a8a"
np.set_printoptions(precision=3, suppress=True)


def draw_chain(names, values, gradients):
    """从上到下画方框：左侧的值往下走，右侧的梯度往上走。"""
    figure = Figure(figsize=(4.4, 5.4), dpi=110, layout="constrained")
    ax = figure.subplots()
    top = 2 * len(names)
    ax.set(xlim=(0, 10), ylim=(-0.6, top + 1.1))
    ax.axis("off")
    for k, name in enumerate(names):
        box = {"boxstyle": "round,pad=0.5", "fc": "0.95", "ec": "0.6"}
        ax.text(5, top - 1 - 2 * k, name, ha="center", va="center", fontsize=12, bbox=box)
        if name == "linear":
            ax.text(6.2, top - 1 - 2 * k, "and dW, db", va="center", fontsize=11, color=ORANGE)
    for k, (value, gradient) in enumerate(zip(values, gradients, strict=True)):
        y = top - 2 * k
        for x, ends, color in ((4.5, (0.45, -0.45), BLUE), (5.5, (-0.45, 0.45), ORANGE)):
            arrow = {"arrowstyle": "-|>", "color": color, "lw": 2}
            ax.annotate("", (x, y + ends[1]), (x, y + ends[0]), arrowprops=arrow)
        ax.text(4.2, y, value, ha="right", va="center", fontsize=11, color=BLUE)
        ax.text(5.8, y, gradient, ha="left", va="center", fontsize=11, color=ORANGE)
    ax.text(2.6, top + 0.8, "forward", ha="center", fontsize=13, color=BLUE)
    ax.text(7.4, top + 0.8, "backward", ha="center", fontsize=13, color=ORANGE)
    return figure


def first_picture():
    """让一个小网络前向、反向各走一遍，画出方框之间传递的数。"""
    x, target = np.array([[0.5, -1.0]]), np.array([1])
    z, linear_backward = F.linear(x, np.array([[1.0, 0.5], [-0.6, 0.2]]), np.array([0.3, 0.1]))
    h, tanh_backward = F.tanh(z)
    scores, output_backward = F.linear(h, np.array([[1.5, 0.5], [-0.5, 1.0]]), np.array([0.2, -0.1]))
    (loss, _), loss_backward = F.cross_entropy(scores, target)
    ds = loss_backward()[0]
    dh = output_backward(ds)[0]
    dz = tanh_backward(dh)
    dx = linear_backward(dz)[0]
    values = [f"{name} = {a:.2f}, {b:.2f}" for name, ((a, b),) in (("x", x), ("z", z), ("h", h), ("s", scores))]
    gradients = [f"{name} = {a:.2f}, {b:.2f}" for name, ((a, b),) in (("dx", dx), ("dz", dz), ("dh", dh), ("ds", ds))]
    names = ["linear", "tanh", "linear", "softmax, cross-entropy"]
    return draw_chain(names, [*values, f"loss = {loss:.2f}"], [*gradients, "dloss = 1"])


show(first_picture(), "图 1：一个样本穿过一个小网络，它的梯度沿原路返回。")

# %% [markdown]
# 你需要会 Python，懂链式法则和矩阵乘法；其余的词都会在第一次出现时解释。读完这一课，你会亲手写出图 1 中的每个方框，
# 能够证明一个反向传播是对的，并且会用四个不同的反向传播各训练一次网络，其中只有一个是对的。
#
# ## 1.1 斜率就是“轻轻一推”的回答
#
# 先看一个权重。模型只做乘法：它的答案是 $y = w x$。当 $x = 3$ 时正确答案是 5，损失是到正确答案的距离的平方，
# $L = (w x - 5)^2$。现在把 $w$ 轻轻推一下，看看 $L$ 怎样变。

# %%
x, w = 3.0, 2.0


def loss_of(w):
    return (w * x - 5) ** 2


for nudge in (0.1, 0.01, 0.001):
    change = loss_of(w + nudge) - loss_of(w)
    print(f"把 w 推 {nudge:5}：损失改变 {change:.6f}，是推的 {change / nudge:.4f} 倍")

# %% [markdown]
# 最后一个数稳定在 6。它是损失的*斜率*，也就是导数 $dL/dw$。不用推，链式法则也能算出它：
# $dL/dw = 2 (w x - 5) \cdot x = 2 \cdot 1 \cdot 3 = 6$。
#
# 这门课的正文和代码都把 $dL/dw$ **写成 `dw`**，把 $dL/dx$ 写成 `dx`，以此类推：*这个数每改变一个单位，
# 损失改变多少*。如果 `w` 是数组，`dw` 就是同样形状的数组，每个数对应一个斜率。它叫作 `w` 的*梯度*。
#
# 梯度有什么用？它告诉我们往哪里走。斜率为正，权重变小，损失就变小。所以从权重中减去梯度的一个小倍数。
# 这个倍数叫作*学习率*。

# %%
for step in range(5):
    dw = 2 * (w * x - 5) * x
    print(f"第 {step} 步：w = {w:.4f}，损失 = {loss_of(w):.4f}，dw = {dw:.4f}")
    w = w - 0.03 * dw  # 0.03 是学习率

# %% [markdown]
# 每走一步，损失都下降。训练一个网络，就是对所有权重同时这样做，做很多次。唯一困难的是求 `dw`，
# 这一课余下的内容都在讲它。
#
# ## 1.2 先猜
#
# 后面我们会训练图 1 的网络，让它给平面上的点分类，一共训练四次。四个程序只差一行，就在方框 `tanh` 的反向传播里。
# 那里的 `h` 是方框的输出，`dh` 是别人告诉它的梯度：
#
# | 程序 | 那一行 |
# |---|---|
# | A | `dz = dh * (1 - h * h)` |
# | B | `dz = dh * (1 - h)` |
# | C | `dz = dh` |
# | D | `dz = 0 * dh` |
#
# 其中只有一个是真正的导数。四个程序运行时都不会报错。**哪几个能学会？请先写下你的答案，再往下读。**
# 1.8 节有实测的答案。
#
# ## 1.3 第一个方框：$y = x W^T + b$
#
# 线性层接收 $N$ 个样本，每个样本有 $D$ 个数，并把每个样本变成 $E$ 个数。下面是几个小数组和它们的形状。
# 三个大小故意各不相同：放反了的数组就对不上。（`rng` 产生随机数。它从一个数出发，这里是 0，叫作*种子*：
# 种子相同，随机数就相同。）

# %%
rng = np.random.default_rng(0)
N, D, E = 2, 3, 4
x, weight, bias = rng.standard_normal((N, D)), rng.standard_normal((E, D)), rng.standard_normal(E)
y = x @ weight.T + bias
for name, array in (("x", x), ("weight", weight), ("bias", bias), ("y", y)):
    print(f"{name} {array.shape}\n{array}\n")

# %% [markdown]
# 样本 $n$ 的第 $e$ 个数是
#
# $$y_{ne} = \sum_d x_{nd} W_{ed} + b_e, \qquad\text{一次写出全部：} y = x W^T + b. \tag{linear 1}$$
#
# 这里 $n$ 数样本，$d$ 数输入，$e$ 数输出。右边的标记是一个约定：库里的函数 `linear` 的文档字符串中有式 (1)，
# 就是这一个。
#
# 再看反向传播。假设有人给了我们 `dy`，一个与 y 同形的数组：每个输出怎样影响损失。（谁给的？下一个方框。
# 它叫作*上游梯度*。）现在问：每个输入经由几条路到达损失？把所有的路加起来。链式法则说的就是这些。
#
# - $x_{nd}$ 出现在样本 $n$ 的每个输出里，每次都乘以 $W_{ed}$。所以 $dx_{nd} = \sum_e dy_{ne} W_{ed}$。
# - $W_{ed}$ 出现在每个样本的输出 $e$ 里，每次都乘以 $x_{nd}$。所以 $dW_{ed} = \sum_n dy_{ne} x_{nd}$。
# - $b_e$ 出现在每个样本的输出 $e$ 里，乘以 1。所以 $db_e = \sum_n dy_{ne}$。
#
# 对共同的下标求和，就是矩阵乘法：
#
# $$dx = dy\, W, \qquad dW = dy^T x, \qquad db = dy \text{ 各行之和}. \tag{linear 1'}$$
#
# 标记 (1') 的意思是：式 (1) 的反向。忘了顺序，就让形状提醒你。梯度的形状与它的数组相同，
# 而用 $(2, 4)$ 和 $(2, 3)$ 两个数组乘出一个 $(4, 3)$ 的数组，只有一种办法。

# %%
dy = rng.standard_normal(y.shape)
dx, dweight, dbias = dy @ weight, dy.T @ x, dy.sum(axis=0)
for name, array in (("dy", dy), ("dx", dx), ("dweight", dweight), ("dbias", dbias)):
    print(f"{name} {array.shape}\n{array}\n")

# %% [markdown]
# ## 1.4 约定：函数返回自己的反向传播
#
# 反向传播的代码应该放在哪里？它要用到前向传播里的 `x` 和 `weight`。在 `minis2s` 里，
# 每个函数在运行时就造出自己的反向传播，把两样东西一起返回：
#
# ```python
# y, backward = F.linear(x, weight, bias)     # 前向
# dx, dweight, dbias = backward(dy)           # 每个输入一个梯度，顺序与输入相同
# ```
#
# 在一个函数里面定义的函数，仍然看得见它周围的变量。Python 把它叫作*闭包*。所以什么都不必手工保存：
# `backward` 需要的东西就在眼前。下面是库里的这个函数。请先在开头的文字里找到式 (1) 和 (1')，
# 再找到计算它们的那几行。

# %%
print(inspect.getsource(F.linear))

# %% [markdown]
# 有三处超出了我们的式子。`x.reshape(-1, D)` 允许 x 有两个以上的轴：除最后一个轴外，其余的排成一长列。
# `matmul` 就是 `@`，数组很大时由两个处理器核心分担。还有，用不着 `dx` 的人不必为它付出计算。
#
# 完整地说，约定有四条。1.9 节会看到违反它的后果。
#
# 1. `backward` 按顺序为每个输入返回一个梯度。只有一个输入时，就只返回那一个数组。
# 2. 每个梯度的形状与它的输入相同。
# 3. `backward` 不改动 `dy`，也不改动输入。别人可能还要用。
# 4. 它可以调用两次，两次的答案相同。
#
# ### 练习 1：`linear` 的反向传播
#
# 前向传播已经写好。请按 (linear 1') 写出三个梯度，然后运行下面的单元：检查器会告诉你它们对不对；如果不对，
# 它们看上去像什么。


# %% exercise="linear"
def linear(x, weight, bias):
    """仿射映射：x (N, D)，weight (E, D)，bias (E,) -> y (N, E)。

    backward(dy (N, E)) 返回 dx (N, D)、dweight (E, D)、dbias (E,)。
    """
    y = x @ weight.T + bias

    def backward(dy):
        ### BEGIN SOLUTION
        dx = dy @ weight
        dweight = dy.T @ x
        dbias = dy.sum(axis=0)
        return dx, dweight, dbias
        ### END SOLUTION

    return y, backward


# %% check="linear"
exercise.check(linear)

# %% [markdown]
# ## 1.5 怎么知道它是对的？
#
# 像 1.1 节那样推一推。为了把许多输出变成一个数，用上游梯度给它们加权再求和：$L = \sum y \cdot dy$。
# 这样 $dL/dy$ 恰好是 `dy`，所以 $dL/dx$ 必须等于 `backward(dy)` 所说的。而 $dL/dx$ 是可以测量的：
# 把一个数往上推 $h$，再往下推 $h$，用 $2h$ 除两次结果之差。这就是*数值梯度*。它完全不需要推导，
# 所以不会和你犯同样的错误。


# %%
def numeric_gradient(function, x, dy, h=1e-5):
    """L = sum(y * dy) 的 dL/dx：把 x 的每个数往上、往下各推一次。"""
    dx = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        dx[place] = ((function(up) - function(down)) * dy).sum() / (2 * h)
    return dx


measured = numeric_gradient(lambda weight: x @ weight.T + bias, weight, dy)
print(f"按 (linear 1') 算的 dweight\n{dweight}\n\n测量的\n{measured}\n")
print("最大的差：", np.abs(dweight - measured).max())

# %% [markdown]
# 十二个数，十位数字都一致。那为什么不用数值梯度来训练？数一数：每个权重要做两次前向传播。一百万个权重的模型，
# 走一步就要两百万次前向传播。而反向传播得到全部一百万个斜率，代价大约只是两次前向传播：
# (linear 1) 是一次矩阵乘法，(linear 1') 是两次。测量是用来检查的。
#
# ### 为什么要用 float64 检查
#
# $h$ 该取多小？**先猜：** $h$ 最小的时候误差也最小吗？图 2 测量的是 $\tanh$ 在 0.7 处的斜率的误差，
# 它的真值我们知道。测量用了计算机里的两种数：*float32* 大约保留 7 位数字，模型训练用它；*float64* 大约保留 16 位。


# %% tags=["hide-input"]
def slope_errors(dtype, nudges):
    """用一种数，求 tanh 在 0.7 处的数值斜率的相对误差。"""
    point = dtype(0.7)
    true = 1 - np.tanh(np.float64(point)) ** 2
    found = [(np.tanh(point + dtype(h)) - np.tanh(point - dtype(h))) / (dtype(2) * dtype(h)) for h in nudges]
    return np.abs(np.array(found, dtype=np.float64) / true - 1)


nudges = 10.0 ** np.arange(-12, -0.9, 0.25)
figure = Figure(figsize=(4.4, 3.4), dpi=110, layout="constrained")
ax = figure.subplots()
for dtype, color in ((np.float32, ORANGE), (np.float64, BLUE)):
    errors = slope_errors(dtype, nudges)
    errors = np.where(errors > 0, errors, np.nan)
    ax.loglog(nudges, np.minimum(errors, 1), ".-", color=color, label=dtype.__name__)
    print(f"{dtype.__name__}：最好的 h 是 {nudges[np.nanargmin(errors)]:.0e}，误差 {np.nanmin(errors):.0e}")
ax.set(xlabel="nudge h", ylabel="relative error of the slope", ylim=(1e-13, 3))
ax.grid(color="0.9")
ax.legend(frameon=False, fontsize=11)
ax.spines[["top", "right"]].set_visible(False)
show(figure, "图 2：数值斜率的误差随推的大小而变。横轴是 h，纵轴是相对误差。")

# %% [markdown]
# 每条曲线都是一个山谷。在右边，推得太大：tanh 在途中弯了，误差按 $h^2$ 增长。在左边，推得太小：
# 两个输出几乎所有的数字都相同，它们的差只剩下舍入误差。重要的是谷底。float32 的谷底大约高一百万倍。
# 用 float32 检查，要么放得太松，漏掉小错误；要么收得太紧，把对的代码说成错的。**所以检查梯度永远用 float64。**
# 同样的代码随后用 float32 训练。
#
# ### 为什么上游梯度要随机
#
# 最简单的 `dy` 是全 1：那么 $L$ 就是所有输出之和。下面看看这会掩盖什么。函数 *softmax* 我们很快就会用到，
# 它把任意的数变成总和为 1 的正数。这里给它配一个最懒的反向传播。


# %%
def lazy_softmax(x):
    y = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)

    def backward(dy):
        return np.zeros_like(x)

    return y, backward


x = rng.standard_normal((2, 4))
y, backward = lazy_softmax(x)
for name, dy in (("全 1", np.ones_like(y)), ("随机数", rng.standard_normal(y.shape))):
    measured = numeric_gradient(lambda x: lazy_softmax(x)[0], x, dy)
    print(f"dy = {name}：最大的差是 {np.abs(backward(dy) - measured).max():.1e}")

# %% [markdown]
# 上游全为 1 时，零就是正确答案：不论 $x$ 是什么，输出之和总是 1，怎么推都不动。于是懒惰的反向传播通过了。
# 随机的上游梯度没有这样的盲点。
#
# ### 为什么偏置为零会掩盖错误
#
# 许多人用刚刚初始化的权重做测试，而偏置常常初始化为零。下面这一层为了节省内存，在反向传播里把输出重算一遍，
# 却忘了偏置：


# %%
def forgetful_layer(x, weight, bias):
    y = np.tanh(x @ weight.T + bias)

    def backward(dy):
        again = np.tanh(x @ weight.T)  # 偏置哪里去了？
        dz = dy * (1 - again * again)
        return dz @ weight, dz.T @ x, dz.sum(axis=0)

    return y, backward


x, weight = rng.standard_normal((3, 4)), rng.standard_normal((2, 4))
print(check(forgetful_layer, x, weight, np.zeros(2)))
print()
print(check(forgetful_layer, x, weight, np.array([0.7, -1.1])))

# %% [markdown]
# 偏置为零时，三个梯度全对；偏置不为零时，三个全错。代码是同一份。第一份报告还指出这个测试太弱，以及为什么。
# 加零什么也不改变，所以什么也看不出来。全零的初始状态、什么都没有遮住的掩码、只有一步的序列也是如此，
# 后面几课会遇到它们。
#
# ## 1.6 检查器
#
# `check` 的想法完全相同，只是做得更仔细：float64，随机的上游梯度，比我们更准的求斜率的方法，以及约定的每一条。
# 你刚才已经看到两份报告。下面这一份里的错误更隐蔽。这一层的作者以为损失是对样本取的平均：


# %%
def linear_with_a_mean(x, weight, bias):
    y = x @ weight.T + bias

    def backward(dy):
        return dy @ weight, dy.T @ x, dy.mean(axis=0)

    return y, backward


report = check(linear_with_a_mean, rng.standard_normal((6, 3)), rng.standard_normal((4, 3)), rng.standard_normal(4))
print(report)

# %% [markdown]
# 从上往下读。先是结论：几个梯度是对的，哪些是错的。然后每个错的梯度一行：错得最厉害的那个数，你的值，
# 以及数值梯度的值。最后是*诊断*：检查器尝试各种解释，报告那些能把你的数变成正确的数的解释。
# 每个诊断都有一个表示原因的短名字，`explain()` 会再给出一段说明和正确的算式。

# %%
print(report.diagnoses[0].cause)
print(report.explain())

# %% [markdown]
# 除以样本数确实是某处的任务，但那是损失的任务，而且损失只除一次，1.7 节会看到。如果某一层再除一次，就差了 $N$ 倍。
#
# ## 1.7 其余的方框
#
# ### tanh
#
# 两个线性层连在一起，仍然只是一个线性层，因为两个矩阵的乘积还是矩阵。中间必须有东西是弯的。经典的选择是双曲正切，
# 对每个数单独使用。它把一切压进 $(-1, 1)$：
#
# $$y = \tanh(x), \qquad \frac{dy}{dx} = 1 - y^2. \tag{tanh 2}$$
#
# 斜率只用输出 $y$ 就能写出来。这很方便：$y$ 在前向传播中刚刚算过。每个输出只依赖自己的输入，所以不用求和，
# 梯度就是 `dx = dy * 斜率`。
#
# ### 练习 2：`tanh` 的反向传播


# %% exercise="tanh"
def tanh(x):
    """把每个数压进 (-1, 1)：x (N, D) -> y (N, D)。

    backward(dy (N, D)) 返回 dx (N, D)。
    """
    y = np.tanh(x)

    def backward(dy):
        ### BEGIN SOLUTION
        return dy * (1 - y * y)
        ### END SOLUTION

    return y, backward


# %% check="tanh"
exercise.check(tanh)

# %% [markdown]
# ### softmax
#
# 网络的最后一层为每个可能的答案给出一个数，叫作*得分*。（这个领域也叫它 *logit*。）得分可以是任意的数。
# 要把它们变成概率，就让它们变成正数，再除以总和：
#
# $$y_j = \frac{e^{x_j}}{\sum_k e^{x_k}}. \tag{softmax 3}$$
#
# 这里 $j$ 和 $k$ 数的是一个样本的各个可能的答案。因为分母里有和，*每个*输出都依赖*每个*输入。推一推其中一个输入，
# 看看：

# %%
x = np.array([[1.0, 2.0, 0.5]])
nudged = x + np.array([[0.01, 0, 0]])
y, y_nudged = F.softmax(x)[0], F.softmax(nudged)[0]
print("y                ", y, y.shape)
print("对 x_0 的斜率    ", (y_nudged - y) / 0.01)

# %% [markdown]
# 第一个输出上升；另外两个下降，因为三个数的和必须仍然是 1。斜率是
#
# $$\frac{dy_k}{dx_j} = y_k ([k = j] - y_j), \qquad\text{其中 } [k = j] \text{ 在 } k = j \text{ 时为 1，否则为 0}.$$
#
# 现在把 $x_j$ 到达损失的路都加起来，每个输出 $k$ 一条：
#
# $$dx_j = \sum_k dy_k\, y_k ([k = j] - y_j) = y_j \Big( dy_j - \sum_k y_k\, dy_k \Big). \tag{softmax 3'}$$
#
# 第一项是直接的路。第二项除了因子 $y_j$ 以外对所有 $j$ 都相同，它是经过分母的路。它也是上游梯度的平均值，
# 以概率为权。所以 softmax 问的是：这个输出的 `dy` *比平均值大多少*？
#
# ### 练习 3：`softmax` 的反向传播
#
# 每一行是一个单独的样本。（前向传播先从每一行减去最大的得分；本节末尾说明为什么。）


# %% exercise="softmax"
def softmax(x):
    """把每一行得分变成概率：x (N, K) -> y (N, K)。

    backward(dy (N, K)) 返回 dx (N, K)。
    """
    y = np.exp(x - x.max(axis=1, keepdims=True))
    y /= y.sum(axis=1, keepdims=True)

    def backward(dy):
        ### BEGIN SOLUTION
        return y * (dy - (y * dy).sum(axis=1, keepdims=True))
        ### END SOLUTION

    return y, backward


# %% check="softmax"
exercise.check(softmax)

# %% [markdown]
# ### 交叉熵
#
# 最后是损失。设 $p$ 是一个样本的各个概率，$t$ 是它的正确答案。好的网络 $p_t$ 大。损失是 $-\log p_t$：
# 网络十分肯定而且对，它是 0；十分肯定却错了，它没有上限。$M$ 个样本一起穿过网络，叫作一*批*；
# 对它们取平均：
#
# $$L = -\frac{1}{M} \sum_n \log p_{n t_n}, \qquad p_n = \mathrm{softmax}(s_n). \tag{cross_entropy 1}$$
#
# 这里 $s_n$ 是样本 $n$ 的各个得分。可以先用 (softmax 3')，再用对数的斜率。把两步合在一起，几乎全部抵消，
# 剩下的很短：
#
# $$ds_n = \frac{1}{M} (p_n - q_n), \qquad q_n = \text{正确答案处为 1，其余为 0}. \tag{cross_entropy 3}$$
#
# *网络说的，减去它应该说的。* 用数字来看：

# %%
scores, target = np.array([[2.0, 0.5, 0.1], [0.3, 0.2, 1.5]]), np.array([0, 1])
(loss, count), backward = F.cross_entropy(scores, target)
dscores, _, _ = backward()
print("得分  ", scores.shape, "\n", scores)
print("p     ", scores.shape, "\n", F.softmax(scores)[0])
print("ds    ", dscores.shape, "\n", dscores)
print(f"损失 {loss:.4f}，是 {count:.0f} 个样本的平均")

# %% [markdown]
# `ds` 的每一行里恰好有一个负数：正确答案的得分应该变大，其余的都应该变小。第二个样本答错了（得分最大的是最后一个，
# 正确答案是中间那个），所以它的数更大。我们丢掉的两个 `None` 属于 `target` 和掩码：整数没有斜率。
#
# 库里的函数把 softmax 和对数合在一起算，还有一个原因。$e^{1000}$ 比 float64 能表示的任何数都大。
# 照 (softmax 3) 的写法，1000 分得到的是无穷大除以无穷大，也就是 `nan`，*不是一个数*。先从所有得分中减去最大的那个，
# 概率不变，也就不会溢出。

# %%
scores, target = np.array([[1000.0, 0.0]]), np.array([1])
with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
    print("照式子写：", np.exp(scores) / np.exp(scores).sum())
print("库函数：", F.softmax(scores)[0], "损失", F.cross_entropy(scores, target)[0][0])

# %% [markdown]
# ## 1.8 整个网络，以及猜测的答案
#
# 现在把图 1 的方框连起来。任务是：平面上有两条互相缠绕的螺线，说出一个点属于哪一条。下面的函数请读两遍。
# 先从上往下，读前向传播。再读它的后一半：**反向传播就是倒过来的前向传播**。每一行还原一行。


# %%
def network(x, target, weights, tanh, cross_entropy=F.cross_entropy, linear=F.linear):
    """图 1 的网络的损失、得分，以及四个权重的梯度。"""
    weight1, bias1, weight2, bias2 = weights
    z, linear_backward = linear(x, weight1, bias1)  # (N, H)
    h, tanh_backward = tanh(z)  # (N, H)
    scores, output_backward = linear(h, weight2, bias2)  # (N, 2)
    (loss, _), loss_backward = cross_entropy(scores, target)

    dscores, _, _ = loss_backward()
    dh, dweight2, dbias2 = output_backward(dscores)
    dz = tanh_backward(dh)
    _, dweight1, dbias1 = linear_backward(dz)  # 没有人需要 dx：点不应该改变
    return loss, scores, [dweight1, dbias1, dweight2, dbias2]


def spirals(count, rng):
    """两条螺线上的点 (count, 2)，以及每个点在哪一条上。"""
    target = np.arange(count) % 2
    radius = np.sqrt(rng.uniform(0.02, 1, count))
    angle = 2 * np.pi * radius + np.pi * target
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + 0.04 * rng.standard_normal(points.shape), target


train_x, train_target = spirals(400, np.random.default_rng(0))
test_x, test_target = spirals(1000, np.random.default_rng(1))
print("点", train_x.shape, "答案", train_target.shape, "\n", train_x[:3], train_target[:3])

# %% [markdown]
# 1.2 节的四个程序，各用自己的那一行。每个程序从不同的随机权重出发训练三次，再用没有见过的点来评判。
# 旁边还有两条*基线*，像样的东西都应该胜过它们：总是给出同一个答案；只用一个线性层，它只能画出一条直线边界。


# %%
def tanh_with(slope):
    """一个 tanh，它的反向传播乘以 `slope(h)`。"""

    def tanh(z):
        h = np.tanh(z)
        return h, lambda dh: dh * slope(h)

    return tanh


programs = {
    "A: 1 - h * h": tanh_with(lambda h: 1 - h * h),
    "B: 1 - h": tanh_with(lambda h: 1 - h),
    "C: 1": tanh_with(lambda h: 1),
    "D: 0": tanh_with(lambda h: 0),
}


def train(tanh, seed, steps=1500, learning_rate=1.0, hidden=24, loss=F.cross_entropy, linear=F.linear):
    """在螺线上训练；返回各步的损失、新点上答对的比例，以及权重。"""
    rng = np.random.default_rng(seed)
    weights = [
        1.5 * rng.standard_normal((hidden, 2)),
        0.5 * rng.standard_normal(hidden),
        rng.standard_normal((2, hidden)) / np.sqrt(hidden),
        np.zeros(2),
    ]
    losses = []
    for _ in range(steps):
        value, _, gradients = network(train_x, train_target, weights, tanh, loss, linear)
        losses.append(value)
        for weight, dweight in zip(weights, gradients, strict=True):
            weight -= learning_rate * dweight
    _, scores, _ = network(test_x, test_target, weights, tanh)
    return losses, (scores.argmax(axis=1) == test_target).mean(), weights


def train_line(steps=1500, learning_rate=1.0):
    """基线：只有一个线性层，所以边界是直线。"""
    weight, bias = np.zeros((2, 2)), np.zeros(2)
    for _ in range(steps):
        scores, linear_backward = F.linear(train_x, weight, bias)
        _, loss_backward = F.cross_entropy(scores, train_target)
        _, dweight, dbias = linear_backward(loss_backward()[0])
        weight -= learning_rate * dweight
        bias -= learning_rate * dbias
    return ((test_x @ weight.T + bias).argmax(axis=1) == test_target).mean()


runs = {name: [train(tanh, seed) for seed in (1, 2, 3)] for name, tanh in programs.items()}
print("总是同一个答案   50.0 % 正确")
print(f"一个线性层       {100 * train_line():.1f} % 正确")
for name, results in runs.items():
    first, last = (np.mean([losses[k] for losses, _, _ in results]) for k in (0, -1))
    shares = [f"{100 * accuracy:.1f}" for _, accuracy, _ in results]
    print(f"{name:13} 损失从 {first:.2f} 到 {last:.3f}，{' / '.join(shares)} % 正确（三个种子）")

# %% [markdown]
# 和你写下的答案比一比。**四个都在学**：损失都下降了，没有一个程序抱怨。只有 A 是对的，也只有它解决了任务。
# B 和 C 的导数是错的，结果接近一条直线，或者更差，或者更好，要看种子。最好笑的是 D。它完全不给第一层传梯度，
# 所以那一层一直是随机的权重。可是它胜过那两个试图训练第一层的程序：**错的梯度可能比没有梯度更糟**。
#
# 如果旁边没有程序 A，谁会怀疑 B 或 D？“损失在下降”不是证明。所以这门课的每个反向传播都经过检查。
# 图 3 是四个程序学到的东西。

# %% tags=["hide-input"]
side = np.linspace(-1.25, 1.25, 120)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
between = LinearSegmentedColormap.from_list("between", [ORANGE, "white", BLUE])
figure = Figure(figsize=(4.4, 4.8), dpi=110, layout="constrained")
for ax, (name, results) in zip(figure.subplots(2, 2).ravel(), runs.items(), strict=True):
    _, accuracy, (weight1, bias1, weight2, bias2) = results[0]
    scores = np.tanh(grid @ weight1.T + bias1) @ weight2.T + bias2
    share = F.softmax(scores)[0][:, 1].reshape(len(side), -1)
    ax.contourf(side, side, share, levels=np.linspace(0, 1, 11), cmap=between, alpha=0.45)
    for k, color in ((0, ORANGE), (1, BLUE)):
        ax.plot(*test_x[test_target == k][:200].T, "o", color=color, markersize=3.2, mec="white", mew=0.4)
    ax.set_title(f"{name}\n{100 * accuracy:.1f} % right", fontsize=10.5)
    ax.set(xticks=[], yticks=[], aspect="equal")
show(
    figure,
    "图 3：四个程序学到的东西（种子 1）。点是新的；底色是网络的答案。right 是答对的比例。",
)

# %% [markdown]
# 整个网络呢？它是权重的函数，也遵守约定。所以 `check` 可以直接检查它：


# %%
def network_of_weights(weight1, bias1, weight2, bias2):
    loss, _, gradients = network(train_x[:50], train_target[:50], (weight1, bias1, weight2, bias2), F.tanh)
    return loss, lambda dloss: tuple(dloss * gradient for gradient in gradients)


print(check(network_of_weights, *runs["A: 1 - h * h"][0][2]))

# %% [markdown]
# ## 1.9 会出什么错
#
# 每一课旁边都有一个小小的*博物馆*，收藏着练习的错误答案，都是人们常写的样子。下面是其中的五件。
# 请在每一件里找出错的那一行，**先猜报告会说什么**，再往下看。（函数 `probabilities` 就是练习 3 的前向传播。）

# %%
pieces = [
    exercise.museum(room)[name]
    for room, name in (
        ("tanh", "slope_of_the_input"),
        ("softmax", "like_a_sigmoid"),
        ("linear", "last_example_only"),
        ("tanh", "in_place"),
        ("tanh", "in_single_precision"),
    )
]
for piece in pieces:
    print(inspect.getsource(piece).partition("\n")[2])  # 去掉标签那一行，因为它写着错在哪里

# %%
arrays = {"x": rng.standard_normal((3, 4)), "weight": rng.standard_normal((2, 4)), "bias": rng.standard_normal(2)}
reports = [check(piece, *(arrays[name] for name in inspect.signature(piece).parameters)) for piece in pieces]
print("\n\n".join(str(report) for report in reports))

# %% [markdown]
# 没有检查器，你会看到什么？把前三件放进 1.8 节的网络，像程序 A 那样训练：


# %%
slope_of_the_input, like_a_sigmoid, last_example_only, in_place, _ = pieces


def loss_with(softmax):
    """交叉熵，用这个 softmax 算概率，用它的反向传播算梯度。"""

    def cross_entropy(scores, target):
        p, softmax_backward = softmax(scores)
        rows = np.arange(len(p))

        def backward():
            dp = np.zeros_like(p)
            dp[rows, target] = -1 / (p[rows, target] * len(p))  # -log p 的斜率，以及平均的斜率
            return softmax_backward(dp), None, None

        return (-np.log(p[rows, target]).mean(), len(p)), backward

    return cross_entropy


with np.errstate(all="ignore"):
    for name, changed in (
        ("没有错误", {}),
        ("斜率里用了输入", {"tanh": slope_of_the_input}),
        ("softmax 缺第二项", {"loss": loss_with(like_a_sigmoid)}),
        ("只有最后一个样本算数", {"linear": last_example_only}),
    ):
        losses, accuracy, _ = train(**({"tanh": F.tanh, "seed": 1} | changed))
        print(f"{name:32}损失 {losses[0]:.2f}，20 步后 {losses[20]:.3g}，最后 {losses[-1]:.3g}", end="；")
        print(f"{100 * accuracy:.1f} % 正确")

# %% [markdown]
# 第一个错误会自己现形，只是晚了一点：`nan`。第二个在前 20 步看上去很好，最后却只是在瞎猜。第三个慢慢地爬。
# 没有一个说明原因。是学习率太大？网络太小？数据不好？这些可以一试就是好几天。检查器只要一秒，就说出缺了什么。
#
# 剩下的两个更安静。float32 也叫*单精度*，对训练没有害处：多数模型就是用它训练的。它只是让检查看不见这么小的错误。
# `in_place` 在这个网络里也毫无害处，因为没有人第二次使用 `dh`。可是造一个方框，让它的输入走两条路，一条穿过 tanh，
# 一条绕过去：


# %%
def with_a_bypass(x):
    """x + tanh(x)：上面传来的梯度从两条路回去。"""
    y, tanh_backward = in_place(x)
    return x + y, lambda dy: tanh_backward(dy) + dy


print(check(with_a_bypass, arrays["x"]))

# %% [markdown]
# 这个方框的每一行都对，tanh 的导数也对。被违反的是约定的第 3 条，违反它的却是别处的代码。
#
# ## 1.10 五个问题
#
# **1.** `x` 的形状是 (5, 3)，`weight` 的形状是 (2, 3)。`y`、`dy`、`dx`、`dweight` 和 `dbias` 的形状各是什么？
#
# <details><summary>答案</summary>
#
# `y` 和 `dy`：(5, 2)。`dx`：(5, 3)。`dweight`：(2, 3)。`dbias`：(2,)。梯度的形状总是与它的数组相同。
#
# </details>
#
# **2.** 一位朋友用全 1 的 `dy` 检查她的反向传播，差别是 1e-12。你为什么不信服？
#
# <details><summary>答案</summary>
#
# 全 1 只测量输出*之和*的斜率。凡是不改变这个和的东西都看不见：整个 softmax，以及各部分加起来为零的任何错误。
# 见 1.5 节。
#
# </details>
#
# **3.** 你的 softmax 的反向传播返回 `dy * y * (1 - y)`。其中哪一部分是对的？
#
# <details><summary>答案</summary>
#
# 它有 $k = j$ 的那些斜率，即每个输出随自己的输入怎样变。$k \neq j$ 的全都没有：*别的*输入变大时，一个输出也会下降。
#
# </details>
#
# **4.** 为什么 `db` 是对样本求和，而 `dx` 每个样本一行？
#
# <details><summary>答案</summary>
#
# 所有样本共用一个偏置，所以它到达损失的路和样本一样多，路要加起来。x 的每一行只经过 y 的同一行到达损失。
#
# </details>
#
# **5.** 一个样本的三个答案得分相同。如果这一批只有这一个样本，`ds` 是什么？
#
# <details><summary>答案</summary>
#
# 每个概率都是 1/3。所以 `ds` 在正确答案处是 $-2/3$，在另外两处是 $1/3$。它们的和是零，总是如此：
# 给所有得分加上同一个数，概率不变。
#
# </details>
#
# ## 1.11 延伸阅读
#
# - D. Rumelhart、G. Hinton 和 R. Williams，*Learning representations by back-propagating errors*，
#   Nature 323（1986）。三页半；式 (4) 到 (7) 就是这一课。
# - A. Baydin、B. Pearlmutter、A. Radul 和 J. Siskind，*Automatic differentiation in machine learning: a survey*，
#   Journal of Machine Learning Research 18（2018）。2.1 节有我们的图 2；3.2 节是一般的反向传播，
#   那里叫作 reverse mode。
# - I. Goodfellow、Y. Bengio 和 A. Courville，*Deep Learning*（2016）。6.2.2.3 节讲 softmax，6.5 节讲反向传播，
#   4.1 节讲溢出。
# - Y. LeCun、L. Bottou、G. Orr 和 K.-R. Müller，*Efficient BackProp*（1998）。4.3 节：为什么输入应该在零附近；
#   4.4 节：为什么用 tanh。
#
# 下一课：一个网络一个字一个字地读，而反向传播要穿过时间往回走。
