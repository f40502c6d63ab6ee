// Runs a launch on one CPU thread: a fiber for each CUDA thread, block after block, the fibers in a chosen order.
// Deterministic; finds results that depend on the order, barriers that diverge, deadlocks and missing initialisation.

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "warps.h"

#if !defined(__x86_64__) && !defined(CUDA_SHIM_UCONTEXT)
#define CUDA_SHIM_UCONTEXT  // ten times as slow: it asks the system to keep the signal mask at every switch
#endif
#ifdef CUDA_SHIM_UCONTEXT
#include <ucontext.h>
#endif

extern char __start_cs_shared_0[] __attribute__((weak));
extern char __stop_cs_shared_0[] __attribute__((weak));

namespace cuda_shim {

Thread* current = nullptr;

namespace {

constexpr std::size_t STACK_BYTES = 64 << 10, GUARD_BYTES = 4 << 10;

#ifndef CUDA_SHIM_UCONTEXT
// Keeps the registers that a function must preserve on the stack left, and takes them from the stack gone to.
extern "C" void cuda_shim_switch(void** left, void* gone_to);
asm(R"(
.text
.globl cuda_shim_switch
.type cuda_shim_switch, @function
cuda_shim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size cuda_shim_switch, . - cuda_shim_switch
)");
using Context = void*;
void go(Context& from, Context& to) { cuda_shim_switch(&from, to); }
void prepare(Context& context, char* stack, void (*entry)()) {
    // As if entry had been called: seven words to take, then the address that entry would return to.
    void** top = reinterpret_cast<void**>(stack + STACK_BYTES) - 8;
    std::memset(top, 0, 8 * sizeof *top);
    top[6] = reinterpret_cast<void*>(entry);
    context = top;
}
#else
using Context = ucontext_t;
void go(Context& from, Context& to) { swapcontext(&from, &to); }
void prepare(Context& context, char* stack, void (*entry)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = STACK_BYTES;
    context.uc_link = nullptr;
    makecontext(&context, entry, 0);
}
#endif

struct Fiber {
    Thread thread;
    Context context;
    Lane* warp;
    int barrier_line;  // where it waits; 0: nowhere
    bool done;
};

enum Order { FORWARD, REVERSE, SHUFFLED };
Order order = FORWARD;
std::uint64_t random_state = 1;

void (*kernel)(void**);
void** arguments;
std::vector<Fiber> fibers;
std::vector<Lane> lanes;
Context scheduler;
Fiber* running;
std::string error;
std::string message;  // what the last launch returned

char* stack_of(unsigned number) {
    static char* stacks = nullptr;
    static unsigned held = 0;
    constexpr std::size_t each = STACK_BYTES + GUARD_BYTES;
    if (number >= held) {  // for the largest block at once: the addresses must not move
        held = 1024;
        const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        stacks = static_cast<char*>(mmap(nullptr, held * each, PROT_READ | PROT_WRITE, flags, -1, 0));
        for (unsigned i = 0; i < held; i++) mprotect(stacks + i * each, GUARD_BYTES, PROT_NONE);
    }
    return stacks + number * each + GUARD_BYTES;
}

void wait() { go(running->context, scheduler); }

[[noreturn]] void fail(std::string text) {
    error = std::move(text);
    for (;;) wait();
}

std::string me(const char* what, int line) {
    return "block " + std::to_string(current->block.x) + ", thread " + std::to_string(current->thread.x) + ": " + what +
           " at line " + std::to_string(line);
}

void run_fiber() {
    kernel(arguments);
    running->done = true;
    leave(running->warp, running->thread.thread.x % 32);
    for (;;) wait();
}

void put_in_order(std::vector<unsigned>& numbers) {
    std::iota(numbers.begin(), numbers.end(), 0u);
    if (order == REVERSE) {
        for (auto& number : numbers) number = unsigned(numbers.size()) - 1 - number;
    }
    for (std::size_t i = numbers.size(); order == SHUFFLED && i > 1; i--) {
        random_state ^= random_state << 13;  // xorshift64
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        std::swap(numbers[i - 1], numbers[random_state % i]);
    }
}

bool can_run(const Fiber& fiber) {
    return !fiber.done && fiber.barrier_line == 0 && !fiber.warp[fiber.thread.thread.x % 32].waiting;
}

// Nobody can run: opens the barrier if all that have not returned wait at it; otherwise says who waits where.
void open_barrier() {
    std::map<std::string, unsigned> waits;
    bool warp_function = false;
    for (const Fiber& fiber : fibers) {
        if (fiber.done) continue;
        const Lane& lane = fiber.warp[fiber.thread.thread.x % 32];
        warp_function |= lane.waiting;
        waits[lane.waiting ? lane.what + (" of line " + std::to_string(lane.line))
                           : "__syncthreads of line " + std::to_string(fiber.barrier_line)]++;
    }
    if (waits.size() > 1 || warp_function) {
        error = "block " + std::to_string(fibers[0].thread.block.x) + " cannot go on:";
        for (const auto& [where, threads] : waits) {
            error += " " + std::to_string(threads) + (threads == 1 ? " thread waits at " : " threads wait at ");
            error += where + ";";
        }
        error.pop_back();
        return;
    }
    for (Fiber& fiber : fibers) fiber.barrier_line = 0;
}

// Runs a warp as far as it gets alone, far ahead of the others: what a missing barrier allows. Says whether it moved.
bool run_warp(unsigned first, unsigned end) {
    std::vector<unsigned> turns(end - first);
    bool moved = false;
    for (bool progress = true; progress;) {
        progress = false;
        put_in_order(turns);
        for (const unsigned turn : turns) {
            running = &fibers[first + turn];
            if (!can_run(*running)) continue;
            current = &running->thread;
            go(scheduler, running->context);
            if (!error.empty()) return false;
            progress = moved = true;
        }
    }
    return moved;
}

void run_block(unsigned block, unsigned threads, unsigned blocks) {
    // Never the zeros that a kernel may count on by mistake.
    if (__start_cs_shared_0 != nullptr) {
        std::memset(__start_cs_shared_0, 0xA5, std::size_t(__stop_cs_shared_0 - __start_cs_shared_0));
    }
    fibers.assign(threads, Fiber());
    lanes.assign((threads + 31) / 32 * 32, Lane());
    for (unsigned i = 0; i < threads; i++) {
        fibers[i].thread = {{i}, {block}, {threads}, {blocks}, 0};
        fibers[i].warp = &lanes[i / 32 * 32];
        lanes[i].alive = true;
        prepare(fibers[i].context, stack_of(i), run_fiber);
    }
    std::vector<unsigned> warps((threads + 31) / 32);
    for (bool progress = true; progress && error.empty();) {
        progress = false;
        put_in_order(warps);
        for (const unsigned warp : warps) progress |= run_warp(warp * 32, std::min(threads, warp * 32 + 32));
        const bool done = std::all_of(fibers.begin(), fibers.end(), [](const Fiber& fiber) { return fiber.done; });
        if (!progress && !done && error.empty()) {
            open_barrier();
            progress = true;
        }
    }
}

}  // namespace

void barrier(int line) {
    running->barrier_line = line;
    wait();
}

const Exchange& exchange(const char* what, int line, unsigned mask, unsigned long long value) {
    Lane& own = running->warp[lane()];
    if (!(mask >> lane() & 1)) fail(me(what, line) + " leaves itself out of its mask");
    own.waiting = true;
    own.what = what;
    own.line = line;
    own.mask = mask;
    own.value = value;
    if (!complete_group(running->warp, lane())) wait();
    return own.result;
}

void no_such_lane(const char* what, int line, unsigned from) {
    fail(me(what, line) + " reads lane " + std::to_string(from) + ", which takes no part");
}

}  // namespace cuda_shim

extern "C" void cuda_shim_order(int order, unsigned long long seed) {
    cuda_shim::order = static_cast<cuda_shim::Order>(order);
    cuda_shim::random_state = seed * 2 + 1;
}

// Returns what went wrong, or null.
extern "C" const char* cuda_shim_launch(void (*kernel)(void**), unsigned blocks, unsigned threads, void** arguments) {
    using namespace cuda_shim;
    cuda_shim::kernel = kernel;
    cuda_shim::arguments = arguments;
    error.clear();
    std::vector<unsigned> turns(blocks);
    put_in_order(turns);
    for (const unsigned block : turns) {
        run_block(block, threads, blocks);
        if (!error.empty()) break;
    }
    message = error;
    return message.empty() ? nullptr : message.c_str();
}
