#!/usr/bin/env python3
"""compare_torch.py LIBRARY OUT.json [GROUP...]: our attention, RMSNorm, SwiGLU and sampling beside PyTorch's, in one
process. Groups: prefill, warpgroups, decode, operators; all where none is named.

Where PyTorch with CUDA is installed. Inputs are new random numbers, outputs are poisoned and compared with PyTorch's
own in float32; the two are timed in turns (CUDA graphs, median of nine). LIBRARY is liborrery_gpu_abi.so. OUT.json has
what is measured at any time. A case that fails is an error in it, and the next goes on.
"""
import ctypes
import datetime
import json
import os
import sys

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

HEADS, KV_HEADS, SAMPLES = 32, 8, 9


def load(path):
    lib = ctypes.CDLL(path)
    p, i, n, f = ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_float
    for name, result, arguments in [
        ("orrery_prefill_plan", p, [i] * 7), ("orrery_decode_plan", p, [i] * 6), ("orrery_plan_free", None, [p]),
        ("orrery_prefill", i, [p] * 6), ("orrery_prefill_warpgroups", i, [p] * 6), ("orrery_decode", i, [p] * 6),
        ("orrery_rmsnorm", i, [p, p, p, p, n, n, f, p]), ("orrery_swiglu", i, [p, p, n, n, p]),
        ("orrery_sample", i, [p, p, n, n, f, i, f, p]), ("orrery_error", ctypes.c_char_p, []),
    ]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def stream():
    return torch.cuda.current_stream().cuda_stream


def checked(lib, done):
    if not done:
        raise RuntimeError(lib.orrery_error().decode())


def random(*shape):
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)


def poisoned(*shape):
    return torch.full(shape, float("nan"), device="cuda", dtype=torch.bfloat16)


def error(out, reference):
    out, reference = out.double(), reference.double()
    return ((out - reference).norm() / reference.norm()).item()


def captured(run):
    """A graph of so many launches that it takes some milliseconds, and how many."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
    launches = max(1, min(200, int(4 / max(begin.elapsed_time(end), 1e-3))))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side):
        for _ in range(launches):
            run()
    return graph, launches


def seconds_of(runs):
    """Median and spread of each, timed in turns."""
    graphs = [captured(run) for run in runs]
    times = [[] for _ in runs]
    for sample in range(-2, SAMPLES):
        for (graph, launches), kept in zip(graphs, times):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            graph.replay()
            end.record()
            end.synchronize()
            if sample >= 0:
                kept.append(begin.elapsed_time(end) * 1e-3 / launches)
    return [(sorted(t)[SAMPLES // 2], sorted(t)[3 * SAMPLES // 4] - sorted(t)[SAMPLES // 4]) for t in times]


def sdpa(backend, q, k, v, causal):
    def run():
        with sdpa_kernel([backend]):
            return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)
    return run


def float_attention(q, k, v, causal):
    """In float32, a sequence and KV head at a time."""
    out = torch.empty_like(q)
    group = q.shape[1] // k.shape[1]
    for b in range(q.shape[0]):
        for h in range(k.shape[1]):
            rows = slice(h * group, (h + 1) * group)
            s = q[b, rows].float() @ k[b, h].float().T / q.shape[-1] ** 0.5
            if causal:
                n, m = s.shape[-2:]
                s.masked_fill_(torch.ones(n, m, device="cuda", dtype=torch.bool).triu(m - n + 1), float("-inf"))
            out[b, rows] = (s.softmax(-1) @ v[b, h].float()).to(out.dtype)
    return out


def attention(lib, batch, queries, keys, d, warpgroups=False):
    """Prefill (queries = keys) or decode (queries = 1)."""
    prefill = queries > 1
    q, k, v = random(batch, queries, HEADS, d), random(batch, keys, KV_HEADS, d), random(batch, keys, KV_HEADS, d)
    out = poisoned(batch, queries, HEADS, d)
    plan = (lib.orrery_prefill_plan(batch, queries, 0, HEADS, KV_HEADS, d, 16) if prefill
            else lib.orrery_decode_plan(batch, keys, HEADS, KV_HEADS, d, 16))
    checked(lib, plan)
    launch = lib.orrery_decode if not prefill else lib.orrery_prefill_warpgroups if warpgroups else lib.orrery_prefill

    def ours():
        checked(lib, launch(plan, q.data_ptr(), k.data_ptr(), v.data_ptr(), out.data_ptr(), stream()))
    turned = [x.transpose(1, 2) for x in (q, k, v)]
    ours()
    torch.cuda.synchronize()
    off = error(out.transpose(1, 2), float_attention(*turned, prefill)) if queries * keys <= 1 << 26 else None
    runs, names = [ours], []
    repeated = [turned[0]] + [x.repeat_interleave(HEADS // KV_HEADS, 1) for x in turned[1:]]
    for name, backend in [("torch flash", SDPBackend.FLASH_ATTENTION), ("torch cuDNN", SDPBackend.CUDNN_ATTENTION)]:
        for what, operands in [(name, turned), (name + ", KV repeated", repeated)]:   # where it cannot group queries
            try:
                other = sdpa(backend, *operands, prefill)
                other()
                runs.append(other)
                names.append(what)
                break
            except RuntimeError as problem:
                print(f"  {what}: not available here: {str(problem).splitlines()[0]}")
    times = seconds_of(runs)
    lib.orrery_plan_free(plan)
    work = 4 * batch * HEADS * d * (queries * (queries + 1) / 2 if prefill else keys)
    name = "decode" if not prefill else "prefill, warpgroups" if warpgroups else "prefill"
    return {"name": name, "shape": f"{batch} x {keys}, 32/8 heads of {d}", "flops": work,
            "bytes": 4 * batch * keys * KV_HEADS * d, "seconds": times[0][0], "spread_seconds": times[0][1],
            "error": off,
            "baselines": {n: t[0] for n, t in zip(names, times[1:])}}


def rmsnorm(lib, rows, dim):
    x, residual, w, out = random(rows, dim), random(rows, dim), random(dim), poisoned(rows, dim)
    total = x.float() + residual.float()
    expected = total * torch.rsqrt(total.pow(2).mean(-1, keepdim=True) + 1e-5) * w.float()
    ours_residual, theirs = residual.clone(), residual.clone()

    def ours():
        checked(lib, lib.orrery_rmsnorm(x.data_ptr(), ours_residual.data_ptr(), w.data_ptr(), out.data_ptr(), rows, dim,
                                        1e-5, stream()))

    def other():
        theirs.add_(x)
        return F.rms_norm(theirs, (dim,), w, 1e-5)
    ours()
    torch.cuda.synchronize()
    off = error(out, expected)
    times = seconds_of([ours, other])
    return {"name": "rmsnorm with residual", "shape": f"{rows} x {dim}", "bytes": 8 * rows * dim,
            "seconds": times[0][0], "spread_seconds": times[0][1], "error": off,
            "baselines": {"torch add, rms_norm": times[1][0]}}


def swiglu(lib, rows, dim):
    x, out = random(rows, 2 * dim), poisoned(rows, dim)
    gate, up = x[:, :dim], x[:, dim:]

    def ours():
        checked(lib, lib.orrery_swiglu(x.data_ptr(), out.data_ptr(), rows, dim, stream()))
    ours()
    torch.cuda.synchronize()
    off = error(out, F.silu(gate.float()) * up.float())
    times = seconds_of([ours, lambda: F.silu(gate) * up])
    return {"name": "swiglu", "shape": f"{rows} x {dim}", "bytes": 6 * rows * dim, "seconds": times[0][0],
            "spread_seconds": times[0][1], "error": off, "baselines": {"torch silu, mul": times[1][0]}}


def sampling(lib, rows, vocab):
    """Top-k 50, top-p 0.9, against the path over a full sort."""
    logits = random(rows, vocab) * 3
    out = torch.full((rows,), -1, device="cuda", dtype=torch.int32)

    def ours():
        checked(lib, lib.orrery_sample(logits.data_ptr(), out.data_ptr(), rows, vocab, 1.0, 50, 0.9, stream()))

    def other():
        values, order = logits.float().sort(-1, descending=True)
        p = values[:, :50].softmax(-1)
        p = p.masked_fill(p.cumsum(-1) - p >= 0.9, 0)
        drawn = (p.cumsum(-1) <= torch.rand(rows, 1, device="cuda") * p.sum(-1, keepdim=True)).sum(-1, keepdim=True)
        return order.gather(-1, drawn.clamp(max=49))
    ours()
    torch.cuda.synchronize()
    rank = (logits > logits.gather(-1, out.long()[:, None])).sum(-1)
    if not bool(((out >= 0) & (rank < 50)).all()):
        raise RuntimeError("a token outside the top 50 was drawn")
    times = seconds_of([ours, other])
    return {"name": "sampling top-k 50 top-p 0.9", "shape": f"{rows} x {vocab}", "bytes": 2 * rows * vocab,
            "seconds": times[0][0], "spread_seconds": times[0][1], "error": None,
            "baselines": {"torch sort": times[1][0]}}


def groups_of(lib):
    """Cases by group. Each calls what makes one result."""
    def prefills(warpgroups):
        return [lambda n=n, d=d: attention(lib, max(1, 16384 // n), n, n, d, warpgroups)
                for d in (128, 64) for n in (4096, 8192, 16384, 512, 1024, 2048)]
    return {
        "prefill": prefills(False),
        "warpgroups": prefills(True) if torch.cuda.get_device_capability() == (9, 0) else [],
        "decode": [lambda b=b, n=n: attention(lib, b, 1, n, 128)
                   for b, n in [(32, 4096), (128, 2048), (8, 8192), (1, 8192)]],
        "operators": [lambda: rmsnorm(lib, 8192, 4096), lambda: swiglu(lib, 4096, 14336),
                      lambda: sampling(lib, 128, 128256)],
    }


def write(path, document):
    with open(path + ".part", "w") as out:
        json.dump(document, out, indent=1)
    os.replace(path + ".part", path)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    torch.manual_seed(datetime.datetime.now().microsecond)
    groups = groups_of(load(sys.argv[1]))
    wanted = sys.argv[3:] or list(groups)
    if unknown := set(wanted) - set(groups):
        sys.exit(f"compare_torch.py: no such groups: {', '.join(sorted(unknown))}")
    device = torch.cuda.get_device_properties(0)
    document = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "machine": {"gpu": device.name, "processors": device.multi_processor_count, "torch": torch.__version__,
                            "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()},
                "errors": [], "results": []}
    for case in [case for group in wanted for case in groups[group]]:
        try:
            r = case()
            document["results"].append(r)
            beside = ", ".join(f"{t / r['seconds']:.3f} x {n}" for n, t in r["baselines"].items())
            wrong = r["error"] is not None and not r["error"] < 1e-2
            if wrong:
                document["errors"].append(f"{r['name']} {r['shape']}: relative error {r['error']}")
            print(f"{r['name']:28} {r['shape']:32} {r['seconds'] * 1e6:10.2f} us  {beside}  error {r['error']}"
                  f"{'  WRONG' if wrong else ''}", flush=True)
        except Exception as problem:
            document["errors"].append(str(problem))
            print("FAILED", problem, flush=True)
        write(sys.argv[2], document)
        try:
            torch.cuda.synchronize()
        except RuntimeError as problem:          # an illegal address, say: no later call of this process works
            document["errors"].append(f"the device is lost to this process, the rest was not tried: {problem}")
            break
    write(sys.argv[2], document)
    sys.exit(2 if document["errors"] else 0)


if __name__ == "__main__":
    main()
