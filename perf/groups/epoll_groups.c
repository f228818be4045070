// How many cores can share one epoll instance? Measures what fetching an event costs when threads share an instance and when each has its own,
// then simulates more cores than this machine has: each core alternates between serving a request (in parallel) and fetching its event (one
// at a time for each instance), in the order of arrival.
//
//   epoll_groups SERVICE_NS [SERIAL_NS]
//
// SERVICE_NS is what a request costs besides. SERIAL_NS replaces the measured time in which only one thread can use the instance.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { DESCRIPTORS = 32, BATCH = 2, MAX_THREADS = 64, MAX_CORES = 128 };

static atomic_int running;

struct worker {
    pthread_t thread;
    int epoll;
    uint64_t events;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

// Every event is answered with the next one, as a client that waits for its answer would do.
static void *work(void *argument)
{
    struct worker *self = argument;
    struct epoll_event events[BATCH];
    const uint64_t one = 1;
    while (atomic_load_explicit(&running, memory_order_relaxed)) {
        int count = epoll_wait(self->epoll, events, BATCH, 1);
        if (count < 0)
            fail("epoll_wait");
        for (int i = 0; i < count; i++)
            if (write(events[i].data.fd, &one, sizeof one) != sizeof one)
                fail("write");
        self->events += (uint64_t)count;
    }
    return NULL;
}

static int make_epoll(void)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        fail("epoll_create1");
    for (int i = 0; i < DESCRIPTORS; i++) {
        int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.fd = fd };
        if (fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
            fail("eventfd");
    }
    return epoll;
}

// Events per second of all threads together.
static double measure(int threads, int shared, double seconds)
{
    struct worker workers[MAX_THREADS] = { 0 };
    int epoll = make_epoll();
    atomic_store(&running, 1);
    for (int i = 0; i < threads; i++) {
        workers[i].epoll = shared || i == 0 ? epoll : make_epoll();
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            fail("pthread_create");
    }
    double begin = now();
    usleep((useconds_t)(seconds * 1e6));
    atomic_store(&running, 0);
    uint64_t events = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        events += workers[i].events;
    }
    return events / (now() - begin);
}

static double spread(double mean)
{
    // A sum of uniform numbers: the right mean, and about as much spread as the service times of one route have.
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += rand() / (double)RAND_MAX;
    return mean * sum / 2;
}

// Requests per nanosecond of `cores` cores that share one instance: the earliest to be ready gets it next.
static double simulate(int cores, double service, double serial)
{
    double ready[MAX_CORES], is_free = 0;
    for (int i = 0; i < cores; i++)
        ready[i] = spread(service);
    const int rounds = 20000 * cores;
    for (int round = 0; round < rounds; round++) {
        int first = 0;
        for (int i = 1; i < cores; i++)
            if (ready[i] < ready[first])
                first = i;
        is_free = (ready[first] > is_free ? ready[first] : is_free) + serial;
        ready[first] = is_free + spread(service);
    }
    return rounds / is_free;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s SERVICE_NS [SERIAL_NS]\n", argv[0]);
        return 2;
    }
    double service = atof(argv[1]);
    int threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    srand(1);
    double alone = measure(1, 1, 1), sharing = measure(threads, 1, 2), apart = measure(threads, 0, 2);
    // With nothing to do besides, all threads queue for the instance: what one event takes then is an upper bound of what is serial.
    double serial = argc > 2 ? atof(argv[2]) : 1e9 / sharing;
    printf("one thread: %.0f ns an event; %d threads, one instance: %.0f ns; an instance each: %.0f ns\n",
           1e9 / alone, threads, 1e9 / sharing, 1e9 / apart);
    printf("simulated: %.0f ns of service, %.0f ns serial\n\n", service, serial);
    printf("| cores | one instance | one for 16 | one for 8 | one for 4 |\n|---|---|---|---|---|\n");
    for (int cores = 2; cores <= MAX_CORES; cores *= 2) {
        printf("| %d |", cores);
        for (int each = 0; each < 4; each++) {
            int limit = each == 0 ? cores : 32 >> each;
            int size = limit < cores ? limit : cores;
            printf(" %.0f %% |", 100 * simulate(size, service, serial) * (service + serial) / size);
        }
        printf("\n");
    }
    return 0;
}
