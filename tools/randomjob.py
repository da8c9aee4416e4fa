"""Random jobs over all features of the job language, for check-random and check-planted.

    python3 tools/randomjob.py SEED       prints the job of a seed

A seed is one job, whatever Python runs it. A job draws a kind of machine (small; two areas; several
nodes; blocks that can be moved; some that cannot, everywhere; nothing but reserves; memory and CPUs
that come and go; a contiguous area; one in the state of a booted kernel, which has slab and buffer
heads) and then steps: commands beside each other, in the background, or one by one.

On a sound engine a job passes with every seed of the simulator, so what may be refused is asked for
with `try`, and what the programs hold fits what the machine has: anonymous memory stays below
memory and swap together, less a part of each, also while areas are switched off.

What is expected in the end is true of every machine: no page is wrong or lost, and nobody waited
for long, which is how a lost wake-up shows where somebody else wakes the sleeper later. Three kinds
of jobs state a rule each and have a machine on which it must show: a request never takes a zone
below the mark that its mask allows; pages that come back within the size of memory are noticed; and
a new set of pages that is used again takes the place of an old one that is not.
"""
import random
import sys

PAGE_KIB = 4
ADVICE = ["cold", "pageout", "willneed", "normal", "random", "sequential", "populate_read",
          "populate_write", "dontneed"]
FILE_ADVICE = ["normal", "random", "sequential", "willneed", "dontneed"]
SAVED = "jobs/saved/booted-256M"  # 256 MiB, 2 CPUs, right after boot
KNOBS = [
    ("swappiness", ["0", "10", "60", "100", "200"]),
    ("page-cluster", ["0", "1", "3", "5"]),
    ("watermark_scale_factor", ["10", "50", "200"]),
    ("watermark_boost_factor", ["0", "15000"]),
    ("vfs_cache_pressure", ["50", "100"]),
    ("dirty_bytes", ["65536", "1048576"]),
    ("dirty_ratio", ["5", "20"]),
    ("dirty_background_ratio", ["1", "10"]),
    ("dirty_writeback_centisecs", ["0", "10", "500"]),
    ("dirty_expire_centisecs", ["10", "3000"]),
    ("percpu_pagelist_high_fraction", ["0", "8", "100"]),
    ("compaction_proactiveness", ["0", "20", "60"]),
    ("extfrag_threshold", ["0", "500", "1000"]),
    ("lowmem_reserve_ratio", ["256 256 32", "100 50 1"]),
    ("laptop_mode", ["0", "1"]),
    ("stat_interval", ["1", "10"]),
    ("stat_refresh", ["1"]),
    ("numa_stat", ["0", "1"]),
    ("zone_reclaim_mode", ["0", "1", "7"]),
    ("compact_memory", ["1"]),
    ("drop_caches", ["1", "2", "3"]),
    ("compact_unevictable_allowed", ["0", "1"]),
    ("min_free_kbytes", ["100", "300", "600"]),
    ("min_unmapped_ratio", ["1", "20"]),
    ("min_slab_ratio", ["1", "5"]),
]
MASKS = ["GFP_KERNEL|__GFP_NORETRY", "GFP_NOWAIT", "GFP_ATOMIC", "GFP_NOFS|__GFP_NORETRY",
         "GFP_NOIO|__GFP_NORETRY", "GFP_HIGHUSER_MOVABLE|__GFP_NORETRY", "GFP_USER|__GFP_NORETRY",
         "GFP_KERNEL|__GFP_RECLAIMABLE|__GFP_NORETRY", "GFP_KERNEL|__GFP_THISNODE|__GFP_NORETRY",
         "GFP_KERNEL|__GFP_RETRY_MAYFAIL", "GFP_KERNEL|__GFP_RETRY_MAYFAIL|__GFP_COMP",
         "GFP_TRANSHUGE", "GFP_TRANSHUGE_LIGHT|__GFP_NORETRY", "GFP_NOWAIT|__GFP_MEMALLOC",
         "GFP_KERNEL|__GFP_ZERO|__GFP_NORETRY"]
THP = ["always", "madvise", "off"]
DEFRAG = ["always", "defer", "defer+madvise", "madvise", "never"]


class Job:
    """What a job says so far, and what its programs hold."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.lines = [f"# random job {seed}"]
        self.seed = seed
        self.anon, self.files, self.maps, self.blocks = [], [], [], []
        self.advised = []  # of anon
        self.names = 0
        self.areas = set()  # of swapon and swapoff
        self.memory = self.swap = 0  # MiB
        self.nodes = 1
        self.cpus = 2

    def say(self, line):
        self.lines.append(line)

    def name(self, letter):
        self.names += 1
        return f"{letter}{self.names}"

    def pick(self, things):
        return things[self.rng.randrange(len(things))]

    def chance(self, one_in):
        return self.rng.randrange(one_in) == 0

    # ---- objects ----

    def add_anon(self, mib, more=""):
        name = self.name("A")
        self.anon.append((name, mib))
        if "mlock" not in more:  # no advice for locked memory
            self.advised.append((name, mib))
        self.say(f"anon {name} {mib}M{more}")

    def add_file(self, mib):
        name = self.name("F")
        self.files.append((name, mib))
        self.say(f"file {name} {mib}M")
        for _ in range(self.rng.randrange(3)):
            mapping = self.name("M")
            self.maps.append((mapping, mib))
            self.say(f"mapfile {mapping} {name}{' exec' if self.chance(4) else ''}")

    def add_memory(self):
        """Regions of 60 to 90 % of what memory and swap can hold together."""
        hold = self.memory * 6 // 10 + self.swap * 8 // 10
        budget = max(2, hold * self.rng.randrange(60, 100) // 100)
        if self.areas:  # one of the areas may be off
            budget = max(2, min(budget, self.memory * 6 // 10 + self.swap * 35 // 100))
        parts = self.rng.randrange(1, 4)
        for _ in range(parts):
            more = ""
            if self.nodes > 1 and self.chance(2):
                more = " policy=" + self.pick(["interleave:0-1", "preferred:1", "local",
                                               "preferred-many:0-1"])
            elif self.chance(3):
                more = self.pick([" thp", " nothp"])
            self.add_anon(max(1, budget // parts), more)
        if self.chance(4):
            self.add_anon(max(1, self.memory // 16), " mlock")

    # ---- commands ----

    def pattern(self, mib, most=6000):
        order = self.pick(["seq", "random", "zipf"])
        count = self.rng.randrange(1, min(most, mib * 512) + 1)
        if order == "seq" and self.chance(2):
            count = "all"
        return f"{order} {count} seed={self.rng.randrange(1, 1000)}"

    def access(self, alone):
        """=> a command that reads or writes pages"""
        what = self.rng.randrange(10)
        if what < 6 or not self.files:
            name, mib = self.pick(self.anon + self.maps)
            line = f"touch {name} {self.pattern(mib)}"
            if self.chance(3):
                line += " ro"
            if alone and self.chance(4):
                line += f" threads={self.rng.randrange(2, 5)}"
            return line
        name, mib = self.pick(self.files)
        return f"{self.pick(['read', 'read', 'write'])} {name} {self.pattern(mib)}"

    def ask(self, orders, most, masks, beside=""):
        """Asks for some blocks, at most `most` of the order that is chosen."""
        name = self.name("K")
        order = self.pick(orders)
        mask = self.pick(masks)
        count = self.rng.randrange(1, most(order) + 1)
        self.say(f"{beside}alloc {name} order={order} count={count} gfp={mask}|__GFP_NOWARN try")
        self.blocks.append(name)

    def race(self, ask, access):
        """Two ask at once, and a program works beside them."""
        self.say("parallel")
        ask("  ")
        ask("  ")
        self.say(f"  {access()}")
        self.say("end")

    def beside(self):
        """=> a command that may stand beside others"""
        what = self.rng.randrange(16)
        if what < 8:
            return self.access(False)
        if what == 8:
            name, _ = self.pick(self.anon)
            every = self.rng.randrange(1, 6)
            return f"free {name} every={every} offset={self.rng.randrange(every)}"
        if what == 9:
            return self.advice(ADVICE[:3])
        if what == 10 and self.files:
            return f"fsync {self.pick(self.files)[0]}"
        if what == 11 and self.files:
            return f"free {self.pick(self.files)[0]}"
        if what == 12:
            return "compact"
        if what == 13:
            return self.pick(["drop 1", "drop 2", "drop 3", "shrink 1M"])
        if what == 14:
            knob, values = self.pick(KNOBS)
            return f"sysctl {knob} {self.pick(values)}"
        return f"sleep {self.rng.randrange(1, 300)}"

    def step_block(self):
        if self.blocks and self.chance(2):
            self.say(f"release {self.blocks.pop(self.rng.randrange(len(self.blocks)))}")
            return
        name = self.name("K")
        order = self.pick([0, 0, 0, 1, 2, 3, 4, 5, 9])
        most = max(1, self.memory * 256 // 16 >> order)
        self.say(f"alloc {name} order={order} count={self.rng.randrange(1, most + 1)}"
                 f" gfp={self.pick(MASKS)}|__GFP_NOWARN try")
        self.blocks.append(name)

    def advice(self, words):
        """=> a command that says something about memory or a file"""
        what = self.rng.randrange(6)
        if what < 2 and self.files:
            return f"advise {self.pick(self.files)[0]} {self.pick(FILE_ADVICE)}"
        if what == 2:
            return f"advise {self.pick(self.advised)[0]} free"
        return f"advise {self.pick(self.advised + self.maps)[0]} {self.pick(words)}"

    def step_advice(self):
        self.say(self.advice(ADVICE))

    def step_freeze(self):
        """The engine's threads stand still, and programs do without them for a while: those that
        write no files, whose pages nobody would clean."""
        self.say("freeze")
        for _ in range(self.rng.randrange(1, 3)):
            name, mib = self.pick(self.anon)
            self.say(f"touch {name} {self.pattern(mib)}{self.pick(['', ' ro'])}")
        self.say("thaw")

    def look(self):
        """Who watches: files read now and then, events, others on the host."""
        if self.chance(8):
            self.lines.insert(1, f"# options: --host-others {self.rng.randrange(1, 4)}")
        if self.chance(8):
            self.say(f"every {self.pick([20, 300])} snapshot e")
        if self.chance(8):
            self.say("trace on")
        if self.memory >= 64 and self.chance(3):
            self.say(f"thp {self.pick(THP)} {self.pick(DEFRAG)}")

    def step_fill(self):
        self.say(f"fill {self.pick(self.anon)[0]} {self.pick(['random', 'half', 'text'])}")

    def step_swap(self):
        """One area goes, while others work, and comes back with another priority."""
        area = self.pick([1, 2])
        if not self.areas:
            return
        if self.chance(2):
            self.say(f"bg {self.access(False)}")
        self.say(f"swapoff {area}")
        self.say("wait")
        self.say(f"swapon {area} {self.rng.randrange(1, 20)}")

    def step_parallel(self):
        if self.blocks and self.chance(2):  # full memory and threads may be too much
            self.say(f"release {self.blocks.pop()}")
        self.say("parallel")
        for _ in range(self.rng.randrange(2, 6)):
            self.say(f"  {self.beside()}")
        self.say("end")

    def step_crowd(self):
        """All want the same pages at the same time, most of which are not there."""
        if self.files and self.chance(2):
            name, mib = self.pick(self.files)
            call, more = "read", ""
            if self.chance(2):
                self.say(f"free {name}")
        else:
            name, mib = self.pick(self.anon)
            call, more = "touch", self.pick(["", " ro"])
        pattern = self.pattern(mib)
        self.say("parallel")
        for _ in range(self.rng.randrange(3, 6)):
            self.say(f"  {call} {name} {pattern}{more}")
        if self.chance(2):
            self.say(f"  {self.beside()}")
        self.say("end")

    def step_background(self):
        for _ in range(self.rng.randrange(1, 4)):
            self.say(f"bg {self.beside()}")
        for _ in range(self.rng.randrange(1, 3)):
            self.say(self.access(True))
        self.say("wait")

    def steps(self, extra=()):
        """The body: some steps of all kinds, and more of those that this machine is for."""
        plain = [self.step_parallel, self.step_parallel, self.step_background, self.step_crowd,
                 lambda: self.say(self.access(True)), lambda: self.say(self.access(True)),
                 lambda: self.say(self.beside()), self.step_block, self.step_advice,
                 self.step_advice, self.step_fill]
        if self.chance(4):
            plain.append(self.step_freeze)
        self.look()
        for number in range(self.rng.randrange(4, 14)):
            self.pick(plain + 2 * list(extra))()
            if number % 5 == 4 and self.chance(2):
                self.say(f"snapshot s{number}")
        while self.blocks:
            self.say(f"release {self.blocks.pop()}")
        for name, _ in self.anon:
            if self.chance(2):
                self.say(f"touch {name} seq all ro")
        self.say("expect neap.mismatches == 0 and neap.lost_pages == 0")
        # Writers may wait for the flusher, whose period is 5 s, for two or three of them.
        self.say("expect neap.stall_max_ns < 60000000000")


# ---- the kinds of machines ----

def small(job):
    job.memory = job.pick([4, 6, 8, 12, 16])
    job.swap = job.memory * job.pick([1, 2, 4])
    job.cpus = job.pick([1, 2, 2, 4])
    job.say(f"machine memory={job.memory}M cpus={job.cpus} swap={job.swap}M")
    job.add_memory()
    for _ in range(job.rng.randrange(3)):
        job.add_file(max(1, job.memory * job.pick([1, 2, 3]) // 4))
    if job.chance(6):  # so many shadows that they are too many
        job.add_file(job.memory * 16)
        job.say(f"read {job.files[-1][0]} seq all")
    job.steps()


def areas(job):
    job.memory = job.pick([6, 8, 16])
    job.swap = job.memory * 4
    job.areas = {1, 2}
    disks = job.pick(["", ",pri=7,disk=1", ",disk=1"])
    job.say(f"machine memory={job.memory}M cpus={job.pick([1, 2, 4])} swap={job.memory * 2}M"
            f" swap2={job.memory * 2}M{disks} noswapon=1")
    same = job.chance(2)
    job.say("swapon 1 5")
    job.say("swapon 2" if disks else "swapon 2 5" if same else "swapon 2 9")
    job.add_memory()
    if job.chance(2):
        job.add_file(max(1, job.memory // 2))
    job.steps([job.step_swap, job.step_swap])


def nodes(job):
    job.nodes = 2
    job.memory, job.swap = 128, 96
    job.say(f"machine nodes={job.pick(['64M/0+64M/1', '64M/0+64M/1', '64M/0-1+64M/-'])} cpus=2"
            f" swap=96M{job.pick(['', ' dist=0-1:15', ' dist=0-1:40'])}")
    if job.chance(3):
        job.say(f"policy {job.pick(['interleave:0-1', 'preferred:1', 'local'])}")
    job.add_memory()
    job.add_file(job.pick([4, 16]))

    def move():
        job.say(job.pick(["cpu 0", "cpu 1", "mems 0-1", "mems all", "policy interleave:0-1",
                          "policy default", f"compact {job.rng.randrange(2)}",
                          f"sysctl zone_reclaim_mode {job.rng.randrange(8)}"]))

    def near():
        """From one node only, for which another one may not stand in."""
        job.say(f"mems {job.rng.randrange(2)}")
        job.say(job.access(True))
        job.say("mems all")

    def block():
        name = job.name("R")
        if job.chance(2):
            job.say(f"range {name} 2M node={job.rng.randrange(2)} try")
        else:
            job.say(f"alloc {name} order={job.rng.randrange(5)} count={job.rng.randrange(1, 400)}"
                    f" node={job.rng.randrange(2)} gfp={job.pick(MASKS)}|__GFP_NOWARN try")
        job.blocks.append(name)
    job.steps([move, move, near, block])


def saved(job):
    """In the state of a booted kernel: its slab, requests to the block layer, buffer heads."""
    job.memory, job.swap = 170, 192  # what is free of 256
    job.lines.append(f"# options: --like {SAVED}")
    job.say("machine nodes=256M cpus=2 swap=192M")
    job.add_memory()
    for _ in range(job.rng.randrange(1, 4)):
        job.add_file(job.pick([4, 30, 90]))

    def caches():
        job.say(job.pick(["drop 2", "drop 3", "shrink 8M", "sysctl vfs_cache_pressure 400"]))
    job.steps([caches])


def movable(job):
    """Memory large enough to be grouped by mobility: huge pages, ranges, compaction."""
    job.memory, job.swap = 128, 128
    job.say("machine memory=128M cpus=2 swap=128M")
    job.say(f"thp {job.pick(THP)} {job.pick(DEFRAG)}")
    for more in (" thp", "", " nothp"):
        job.add_anon(job.pick([16, 24, 40, 56]), more)
    job.add_file(8)

    def block():
        name = job.name("R")
        job.say(f"range {name} {job.rng.randrange(1, 9)}M try")
        job.blocks.append(name)

    def pool():
        job.say(f"hugepages {job.rng.randrange(8)}")

    def holes():
        job.say(f"free {job.pick(job.anon)[0]} every={job.rng.randrange(2, 5)}")

    def policy():
        job.say(f"thp {job.pick(THP)} {job.pick(DEFRAG)}")
    job.steps([block, pool, holes, policy])
    job.lines.insert(-2, "hugepages 0")


def huge(job):
    """More huge pages than memory: they are split, moved, given up in parts, made anew."""
    job.memory, job.swap = 128, 192
    two = job.chance(2)
    job.say(f"machine memory=128M cpus={job.pick([1, 2, 4])} swap=192M"
            + (" swap2=192M noswapon=1" if two else ""))
    if two:
        job.areas = {1, 2}
        job.say("swapon 1")
        job.say("swapon 2")
    job.say(f"thp {job.pick(['always', 'always', 'madvise'])} {job.pick(DEFRAG)}")
    for more in (" thp", "", " thp"):
        job.add_anon(job.pick([32, 48, 64]), more)
    if job.chance(2):
        job.add_file(16)
    for name, _ in job.anon:
        job.say(f"{job.pick(['', 'bg '])}touch {name} seq all")
    job.say("wait")

    def holes():
        job.say(f"free {job.pick(job.anon)[0]} every={job.pick([1, 2, 3, 7, 512])}")

    def part():
        job.say(f"advise {job.pick(job.anon)[0]} {job.pick(['free', 'pageout', 'cold'])}")

    def beside():
        """Somebody uses what is split, moved, or given up at that moment."""
        name, mib = job.pick(job.anon)
        job.say("parallel")
        job.say(f"  touch {name} {job.pattern(mib)}")
        job.say(f"  {job.pick(['free ' + name + ' every=2', f'advise {name} pageout', 'compact'])}")
        job.say(f"  {job.access(False)}")
        job.say("end")
    job.steps([holes, part, beside] + ([job.step_swap] if two else []))


def pieces(job):
    """Half of memory is free, in pieces: whoever asks for large blocks compacts for himself."""
    job.memory, job.swap = 128, job.pick([0, 128])
    job.say(f"machine memory=128M cpus={job.pick([1, 2, 4])}"
            + (f" swap={job.swap}M" if job.swap else ""))
    job.say(f"sysctl compaction_proactiveness {job.pick([0, 0, 20])}")
    if job.chance(2):
        job.say("thp always always")
    job.add_anon(job.pick([64, 88]) if job.swap else 64)
    job.add_file(12)
    name, mib = job.anon[0]
    job.say(f"touch {name} seq all")
    job.say(f"read {job.files[0][0]} seq all")
    job.say(f"free {name} every={job.pick([2, 2, 3])}")

    def blocks(beside=""):
        job.ask([2, 3, 3, 4, 5, 9],
                lambda order: max(2, (8192 if job.swap else 2048) >> order) - 1,
                ["GFP_KERNEL", "GFP_KERNEL|__GFP_RETRY_MAYFAIL", "GFP_HIGHUSER_MOVABLE",
                 "GFP_TRANSHUGE", "GFP_KERNEL|__GFP_NORETRY", "GFP_ATOMIC"], beside)

    def race():
        """Two compact, and a program uses what is being moved."""
        job.race(blocks, lambda: f"touch {name} {job.pattern(mib)}")

    def holes():
        while job.blocks:
            job.say(f"release {job.blocks.pop()}")
        job.say(f"touch {name} seq all")
        job.say(f"free {name} every={job.pick([2, 3, 5])}")
    job.steps([blocks, race, race, holes])


def fragmented(job):
    """Blocks of a kernel that nobody can move lie everywhere: a large block is made out of what is
    between them, if at all, and whoever asks for one is told how often to try again."""
    size = job.pick([16, 32, 64])
    job.memory, job.swap = size // 2, size * job.pick([1, 2])
    job.say(f"machine memory={size}M cpus={job.pick([1, 2, 4])} swap={job.swap}M")
    job.add_memory()
    job.add_file(size // 2)
    job.say(f"alloc P order=0 count={size * job.rng.randrange(80, 160)}")
    job.say(f"release P every={job.pick([2, 2, 3])}")

    def blocks(beside=""):
        job.ask([1, 1, 2, 3, 3, 4], lambda order: size * 16 >> order,
                ["GFP_KERNEL", "GFP_KERNEL", "GFP_KERNEL|__GFP_RETRY_MAYFAIL", "GFP_USER",
                 "GFP_HIGHUSER_MOVABLE", "GFP_NOFS", "GFP_KERNEL|__GFP_RECLAIMABLE"], beside)

    def race():
        job.race(blocks, lambda: job.access(False))

    def cached():
        job.say(f"read {job.files[0][0]} seq all")

    def holes():
        while job.blocks:
            name = job.blocks.pop()
            job.say(f"release {name} every={job.pick([1, 2, 3])}")
            job.say(f"release {name}")
    job.steps([blocks, race, cached, holes])


def dry(job):
    """Nothing is left but reserves: requests that must not fail wait until something comes back.
    Nobody else asks then: he would be refused, and the job end."""
    job.memory = job.pick([8, 16, 32])
    job.say(f"machine memory={job.memory}M cpus={job.pick([1, 2, 4])}"
            + (f" swap={job.memory}M" if job.chance(2) else ""))
    if job.chance(2):
        job.add_anon(job.memory // 4)
        job.say(f"touch {job.anon[0][0]} seq all")
    for _ in range(job.rng.randrange(1, 4)):
        all_of_it = job.name("K")
        job.say(f"alloc {all_of_it} order=0 count={job.memory * 256}"
                " gfp=GFP_KERNEL|__GFP_NORETRY|__GFP_NOWARN try")
        names = []
        for _ in range(job.rng.randrange(1, 4)):
            names.append(job.name("N"))
            order = job.pick([0, 0, 1, 2])
            mask = job.pick(["GFP_KERNEL", "GFP_KERNEL", "GFP_NOFS", "GFP_NOIO", "GFP_USER",
                             "GFP_HIGHUSER_MOVABLE"])
            job.say(f"bg alloc {names[-1]} order={order}"
                    f" count={job.rng.randrange(1, job.memory * 16 >> order)}"
                    f" gfp={mask}|__GFP_NOFAIL|__GFP_NOWARN")
        for every in (job.pick([2, 3, 4]), 1):
            job.say(f"sleep {job.rng.randrange(1, 60)}")
            job.say(f"release {all_of_it} every={every}")
        job.say("wait")
        for name in names:
            job.say(f"release {name}")
    job.say(f"expect neap.mismatches == 0 and neap.free_pages > {job.memory * 128}")
    job.say("expect neap.stall_max_ns < 60000000000")


def plugged(job):
    job.memory, job.swap = 32, 64
    job.say("machine memory=32M cpus=4 swap=64M hotplug=16M block=4M")
    job.add_memory()
    job.add_file(6)
    job.say("memory add 16M")
    gone = set()  # CPUs
    blocks = {}

    def memory():
        """A block comes once, and goes if it can."""
        block = job.rng.randrange(9, 13)
        if block not in blocks:
            job.say(f"memory online {block} {job.pick(['movable', 'movable', 'kernel'])}")
            blocks[block] = "online"
        elif blocks[block] == "online":
            job.say(f"memory offline {block} try")
            blocks[block] = "perhaps"

    def cpu():
        number = job.rng.randrange(1, 4)
        job.say(f"cpu {'online' if number in gone else 'offline'} {number}")
        gone.symmetric_difference_update({number})

    def beside():
        job.say(f"bg {job.access(False)}")
        memory()
        cpu()
        job.say("wait")

    def end():
        """What never came online, or is offline again, is taken away."""
        for block in range(9, 13):
            if block not in blocks:
                job.say(f"memory remove {block} 1")
    job.steps([memory, cpu, beside])
    if job.chance(2):
        end()


def contiguous(job):
    job.memory, job.swap = 128, 64
    job.say("machine memory=128M cpus=2 swap=64M cma=24M")
    job.add_anon(job.pick([40, 60, 88]))
    job.add_file(16)

    def area():
        name = job.name("C")
        job.say(f"cma {name} {job.rng.randrange(1, 13)}M try")
        job.blocks.append(name)
    job.steps([area, area])


def mark(job):
    """Nothing runs, and somebody takes all he gets: what is left is what his mask must leave."""
    job.memory = job.pick([16, 32])
    job.cpus = job.pick([1, 2])
    min_pages = job.pick([256, 512, 1024])
    # Of a mask the part of the mark that it must leave: __GFP_HIGH may have half, what cannot
    # sleep and says so another quarter of the rest (spec 08).
    mask, eighths = job.pick([("GFP_KERNEL|__GFP_NORETRY", 8), ("GFP_NOWAIT", 8),
                              ("GFP_NOFS|__GFP_NORETRY", 8), ("GFP_USER|__GFP_NORETRY", 8),
                              ("GFP_HIGHUSER_MOVABLE|__GFP_NORETRY", 8), ("GFP_ATOMIC", 3),
                              ("GFP_KERNEL", 8), ("GFP_NOFS", 8),
                              ("GFP_KERNEL|__GFP_RETRY_MAYFAIL", 8)])
    order = job.pick([0, 0, 1, 2])
    job.say(f"machine memory={job.memory}M cpus={job.cpus}")
    job.say(f"sysctl min_free_kbytes {min_pages * PAGE_KIB}")
    job.say(f"alloc K order={order} count={job.memory * 256} gfp={mask}|__GFP_NOWARN try")
    # A list of a CPU is refilled with a batch of up to 63 pages after one look at the mark.
    left = max(0, min_pages * eighths // 8 - 64 * job.cpus)
    job.say(f"expect neap.failed_blocks > 0 and neap.free_pages >= {left}")
    job.say("release K")
    job.say(f"expect neap.free_pages > {job.memory * 128}")


def working_set(job):
    """Somewhat more than memory is used again and again, in no order."""
    job.memory = job.pick([8, 16])
    size = job.memory * 3 // 2
    job.say(f"machine memory={job.memory}M cpus={job.pick([1, 2])} swap={job.memory * 4}M")
    if job.chance(2):
        job.say(f"anon A {size}M")
        job.say("touch A seq all")
        job.say(f"touch A random {size * 1024} seed={job.rng.randrange(1, 1000)}")
        kind = "anon"
    else:
        job.say(f"file A {size}M")
        job.say("read A seq all")
        job.say(f"read A random {size * 1024} seed={job.rng.randrange(1, 1000)}")
        kind = "file"
    job.say(f"expect vmstat.workingset_refault_{kind} > 500")
    job.say(f"expect vmstat.workingset_activate_{kind} > 100")


def new_set(job):
    """A set that is used again drives out one that is not: pages that come back within the size
    of what is active are active at once, and stay while others stream past."""
    job.memory = job.pick([16, 32])
    part = job.memory // 16
    kind = job.pick(["file", "anon"])
    call = "read" if kind == "file" else "touch"
    job.say(f"machine memory={job.memory}M cpus={job.pick([1, 2])} swap={job.memory * 4}M")
    job.say("sysctl page-cluster 0")
    job.say(f"sysctl swappiness {60 if kind == 'file' else 200}")
    job.say(f"file H {6 * part}M")
    job.say(f"{kind} G {4 * part}M")
    for stream in "STU":
        job.say(f"{kind} {stream} {8 * part}M")
    job.say("read H seq all")
    job.say("read H seq all")
    pages = 1024 * part
    for stream in "STU":
        job.say(f"{call} G seq all")
        if kind == "anon" and stream == "T":
            # Few of it had to go where much of H went: 3 % came back in some schedules.
            job.say(f"expect vmstat.nr_active_anon > {pages // 64}")
        job.say(f"{call} {stream} seq all")
    job.say(f"{call} G seq all")
    job.say(f"expect vmstat.workingset_refault_{kind} > {pages // 20}")
    job.say(f"expect vmstat.workingset_activate_{kind} > {pages // 20}")
    if kind == "file":
        # Once each while the old set is active still; in some schedules half of it a second time.
        # What is never made active comes back each of three times.
        job.say(f"expect vmstat.workingset_refault_file < {pages * 5 // 2}")


# A prime number of them: seeds that are even, or the third, fourth or eighth, are played otherwise.
KINDS = [small, small, small, small, areas, areas, nodes, plugged, mark, working_set, new_set,
         movable, contiguous, saved, huge, pieces, mark, fragmented, dry]


def kind(seed):
    """=> the name of the kind of machine"""
    return KINDS[seed % len(KINDS)].__name__


def text(seed):
    job = Job(seed)
    KINDS[seed % len(KINDS)](job)
    return "\n".join(job.lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("usage: randomjob.py SEED")
    sys.stdout.write(text(int(sys.argv[1])))
