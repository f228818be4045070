/* What the load programs share: a clock, sockets, and a histogram of latencies with its report. */
#ifndef LOAD_H
#define LOAD_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS_PER_SECOND 1000000000ull
#define NANOSECONDS_PER_MILLISECOND 1000000ull

/* A run with a failed request measures nothing: every failure ends the program. */
__attribute__((noreturn, format(printf, 1, 2))) static inline void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static inline uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static inline uint64_t cpu_ns(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

/* Milliseconds for epoll_wait, rounded up: a wait that ends too early would spin. */
static inline int milliseconds_until(uint64_t due, uint64_t now)
{
    return due <= now ? 0 : (int)((due - now + NANOSECONDS_PER_MILLISECOND - 1) / NANOSECONDS_PER_MILLISECOND);
}

/* "127.0.0.1:8080"; names are not resolved. */
static inline struct sockaddr_in parse_address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host)
        fail("'%s' is not an IPv4 address and a port", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    int port = atoi(colon + 1);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || port <= 0 || port > UINT16_MAX)
        fail("'%s' is not an IPv4 address and a port", text);
    address.sin_port = htons((uint16_t)port);
    return address;
}

/* A non-blocking socket whose connecting has begun; a source of 0.0.0.0 lets the system choose. */
static inline int open_socket_from(const struct sockaddr_in *address, struct in_addr source)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket: %s", strerror(errno));
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (source.s_addr != htonl(INADDR_ANY)) {
        /* The port is chosen by connect, which knows that only the pair of addresses has to be unique. */
        struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr = source};
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(fd, (const struct sockaddr *)&local, sizeof local) < 0)
            fail("bind: %s", strerror(errno));
    }
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    return fd;
}

static inline int open_socket(const struct sockaddr_in *address)
{
    return open_socket_from(address, (struct in_addr){.s_addr = htonl(INADDR_ANY)});
}

/*
 * Log-linear: each power of two is cut into 64 buckets, so that a percentile is exact to 1.6 percent from nanoseconds to hours, and counting
 * is an addition.
 */
#define SUB_BUCKET_BITS 6
#define SUB_BUCKETS (1 << SUB_BUCKET_BITS)
#define BUCKETS ((64 - SUB_BUCKET_BITS + 1) * SUB_BUCKETS)

struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[BUCKETS];
};

static inline void record(struct histogram *histogram, uint64_t value)
{
    int shift = value < SUB_BUCKETS ? 0 : 63 - __builtin_clzll(value) - SUB_BUCKET_BITS;
    size_t octave = value < SUB_BUCKETS ? 0 : (size_t)shift * SUB_BUCKETS;
    histogram->buckets[octave + (value >> shift)]++;
    histogram->count++;
    if (value > histogram->max)
        histogram->max = value;
}

/* The upper edge of the bucket in which the fraction is reached. */
static inline uint64_t percentile(const struct histogram *histogram, double fraction)
{
    double wanted = fraction * (double)histogram->count;
    uint64_t seen = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && (double)seen >= wanted) {
            size_t shift = i < 2 * SUB_BUCKETS ? 0 : i / SUB_BUCKETS - 1;
            uint64_t edge = ((uint64_t)(i - shift * SUB_BUCKETS + 1) << shift) - 1;
            return edge < histogram->max ? edge : histogram->max;
        }
    }
    return 0;
}

/* One line of JSON without its end, so that the shell's tools can read it as well. Without a measurement the latencies are null. */
static inline void print_group(const char *name, const struct histogram *latencies, uint64_t answered, uint64_t unanswered, double seconds)
{
    static const struct {
        const char *name;
        double fraction;
    } columns[] = {{"p50_us", 0.5}, {"p75_us", 0.75}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p99_9_us", 0.999}, {"max_us", 1}};

    printf("\"%s\": {\"requests\": %" PRIu64 ", \"rate\": %.1f", name, answered, (double)answered / seconds);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        if (latencies->count == 0)
            printf(", \"%s\": null", columns[i].name);
        else
            printf(", \"%s\": %.1f", columns[i].name, (double)percentile(latencies, columns[i].fraction) / 1000);
    }
    printf(", \"unanswered\": %" PRIu64 "}", unanswered);
}

#endif
