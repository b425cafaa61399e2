"""What the kernel says about a process: CPU time in nanoseconds, memory, threads; and about the machine."""

import os
import platform
import time

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of all threads, those that ended too (the process CPU clock; nanoseconds)."""
    try:
        return time.clock_gettime_ns((~pid << 3) | 2) / 1e9
    except OSError:
        return 0.0


def memory_mb(pid, key="VmRSS"):
    """VmRSS, RssAnon or VmHWM in megabytes (10^6 bytes)."""
    try:
        with open(f"/proc/{pid}/status") as f:
            for line in f:
                if line.startswith(key + ":"):
                    return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return 0.0


def reset_peak(pid):
    try:
        with open(f"/proc/{pid}/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass


def threads(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


def machine_busy_seconds():
    """CPU seconds that anything on the machine used (user, nice, system, irq, softirq, steal)."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:]]
    return (v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) / TICK


def machine():
    """One line on the machine the figures come from."""
    model, cores = "unknown CPU", os.cpu_count()
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as f:
        gib = int(f.readline().split()[1]) / (1 << 20)
    return f"{cores} cores ({model}), {gib:.0f} GiB, Linux {platform.release()}"


def touch_memory(path, gigabytes):
    """Writes a file through the page cache and removes it, so that the host backs the memory before anything is measured:
    on a virtual machine the first touch of a page costs more than the work of a broker on it."""
    block = b"\1" * (1 << 20)
    with open(path, "wb", buffering=0) as f:
        for _ in range(int(gigabytes * 1000)):
            f.write(block)
    os.unlink(path)


class Usage:
    """CPU, peak memory and noise around a piece of work: `with Usage(pid) as u: ...`, then u.cpu, u.peak_mb, u.other. Of several
    processes, the CPU time is summed and the peak is the largest of one."""

    def __init__(self, *pids):
        self.pids = pids

    def __enter__(self):
        for pid in self.pids:
            reset_peak(pid)
        self._began, self._busy, self._cpu = time.monotonic(), machine_busy_seconds(), self._used()
        return self

    def __exit__(self, *_):
        self.cpu = self._used() - self._cpu
        self.wall = time.monotonic() - self._began
        self.busy = machine_busy_seconds() - self._busy
        self.peak_mb = max(memory_mb(pid, "VmHWM") for pid in self.pids)

    def _used(self):
        return sum(cpu_seconds(pid) for pid in self.pids)

    def other_cores(self, client_cpu):
        """Cores that neither the broker nor the client used: a row where this is high is not to be trusted."""
        return max(0.0, (self.busy - self.cpu - client_cpu) / max(self.wall, 1e-9))
