/* Where a process is when its CPU timer ticks: the native half of benchmarks/sampler.py.

   Each tick keeps the instruction pointer, the thread, and whether the interpreter's lock was held
   and the kernel was at work; then the handler that was there before (Python's own) runs, which
   lets the Python half see the frame at its next instruction. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

int PyGILState_Check(void);

struct sample {
    uint64_t pc;
    int32_t thread;
    int32_t locked; /* the thread holds the interpreter's lock */
    int32_t kernel; /* the tick came inside of a system call */
    int32_t unused;
};

enum { ROOM = 4096 };

static struct sample ring[ROOM];
static atomic_uint written;
static unsigned taken;
static struct sigaction before;

#if defined(__x86_64__)
static uint64_t pc_of(const ucontext_t *at) { return (uint64_t)at->uc_mcontext.gregs[REG_RIP]; }
static int in_kernel(uint64_t pc) { return memcmp((const char *)pc - 2, "\x0f\x05", 2) == 0; }
#elif defined(__aarch64__)
static uint64_t pc_of(const ucontext_t *at) { return at->uc_mcontext.pc; }
static int in_kernel(uint64_t pc) { return memcmp((const char *)pc - 4, "\x01\x00\x00\xd4", 4) == 0; }
#else
#error "not known how to read the instruction pointer here"
#endif

static void tick(int number, siginfo_t *info, void *context) {
    (void)info;
    struct sample *to = &ring[atomic_fetch_add(&written, 1) % ROOM];
    to->pc = pc_of(context);
    to->thread = (int32_t)syscall(SYS_gettid);
    to->locked = PyGILState_Check();
    to->kernel = in_kernel(to->pc);
    if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) before.sa_handler(number);
}

/* Take over SIGPROF from the handler that is there, and tick each so many microseconds of CPU. */
int sampler_start(int interval_us) {
    struct sigaction mine;
    memset(&mine, 0, sizeof mine);
    mine.sa_sigaction = tick;
    mine.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigemptyset(&mine.sa_mask);
    if (sigaction(SIGPROF, &mine, &before) != 0) return -1;
    struct itimerval each = {{0, interval_us}, {0, interval_us}};
    return setitimer(ITIMER_PROF, &each, 0);
}

void sampler_stop(void) {
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_PROF, &never, 0);
    sigaction(SIGPROF, &before, 0);
}

/* Copy what came since the last call, oldest first; how many. */
int sampler_take(struct sample *to, int most) {
    int count = 0;
    unsigned end = atomic_load(&written);
    if (end - taken > ROOM) taken = end - ROOM;
    while (taken != end && count < most) to[count++] = ring[taken++ % ROOM];
    return count;
}

/* The file and the exported function that hold an address; empty where nothing is known. */
void sampler_where(uint64_t pc, const char **file, const char **function) {
    Dl_info found;
    memset(&found, 0, sizeof found);
    dladdr((void *)pc, &found);
    *file = found.dli_fname ? found.dli_fname : "";
    *function = found.dli_sname ? found.dli_sname : "";
}
