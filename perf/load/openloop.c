/*
 * An open loop: HTTP/1.1 requests at a fixed rate, whatever the answers take, on one thread. Request k is due k/rate seconds after the
 * start, on connection k modulo their number. A connection that still waits for an answer sends its next request when it has it; its
 * latency counts from when it was due, so that waiting for a slow server counts. Prints one JSON object.
 *
 *   openloop --url 127.0.0.1:8080 [--path /] [--connections 256] [--rate 1000] [--seconds 3]
 *
 * "late" is how late requests were sent on connections that were free: it says how well this program keeps the time.
 * "held" is the part of the requests due that had been answered at the end. What is unanswered then may still be answered within another
 * second, and its latency is recorded; what is unanswered even then is counted, and recorded with the time it has waited.
 */
#define _GNU_SOURCE
#include "answer.h"
#include <sys/prctl.h>

#define EVENTS 256
#define BUFFER_SIZE 4096
#define GRACE_NS NANOSECONDS_PER_SECOND

struct connection {
    int fd;
    bool is_waiting;
    uint64_t next; /* The number of the request that it waits for, or sends next. */
    size_t filled;
    char buffer[BUFFER_SIZE];
};

static struct connection *connections;
static uint64_t connection_count, request_count, start;
static double interval_ns;
static char request[512];
static size_t request_length;
static struct histogram latencies, lateness;
static uint64_t answered, bytes_received;
static int epoll;

static uint64_t due_at(uint64_t number) { return start + (uint64_t)((double)number * interval_ns); }

static void send_request(struct connection *connection)
{
    if (send(connection->fd, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length)
        fail("a request could not be sent: %s", strerror(errno));
    connection->is_waiting = true;
    connection->filled = 0;
}

static void on_answer(struct connection *connection, uint64_t now)
{
    record(&latencies, now - due_at(connection->next));
    answered++;
    connection->is_waiting = false;
    connection->next += connection_count;
    /* The next one was due while this one was awaited. */
    if (connection->next < request_count && due_at(connection->next) <= now)
        send_request(connection);
}

static void receive(struct connection *connection)
{
    ssize_t count = recv(connection->fd, connection->buffer + connection->filled, BUFFER_SIZE - 1 - connection->filled, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        fail("the server has ended a connection: %s", count < 0 ? strerror(errno) : "closed");
    if (!connection->is_waiting)
        fail("more came than was asked for");
    bytes_received += (uint64_t)count;
    connection->filled += (size_t)count;
    connection->buffer[connection->filled] = 0;
    if (is_complete_answer(connection->buffer, connection->filled))
        on_answer(connection, now_ns());
    else if (connection->filled == BUFFER_SIZE - 1)
        fail("an answer is longer than %d bytes", BUFFER_SIZE - 1);
}

static void poll_until(uint64_t due)
{
    struct epoll_event events[EVENTS];
    uint64_t now = now_ns(), left = due > now ? due - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / NANOSECONDS_PER_SECOND), .tv_nsec = (long)(left % NANOSECONDS_PER_SECOND)};
    int count = epoll_pwait2(epoll, events, EVENTS, &timeout, NULL);
    if (count < 0 && errno != EINTR)
        fail("epoll_pwait2: %s", strerror(errno));
    for (int i = 0; i < count; i++)
        receive(events[i].data.ptr);
}

static void open_connections(const char *url)
{
    struct sockaddr_in address = parse_address(url);
    for (uint64_t i = 0; i < connection_count; i++) {
        struct connection *connection = &connections[i];
        connection->next = i;
        connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int on = 1;
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof address) < 0)
            fail("connect: %s", strerror(errno));
        fcntl(connection->fd, F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
            fail("epoll_ctl: %s", strerror(errno));
    }
}

/* All that is due, in the order in which it is. */
static uint64_t send_due(uint64_t number)
{
    for (uint64_t now = now_ns(); number < request_count && due_at(number) <= now; number++) {
        struct connection *connection = &connections[number % connection_count];
        if (!connection->is_waiting && connection->next == number) {
            record(&lateness, now - due_at(number));
            send_request(connection);
        }
    }
    return number;
}

int main(int argc, char **argv)
{
    const char *url = NULL, *path = "/";
    double rate = 1000, seconds = 3;
    connection_count = 256;
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--url")) url = value;
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--connections")) connection_count = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--rate")) rate = atof(value);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else fail("unknown option: %s (see the head of this program's source)", name);
    }
    if (!url || connection_count == 0 || rate <= 0 || seconds <= 0)
        fail("--url is needed, and numbers must be positive");
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, url);
    if (length < 0 || (size_t)length >= sizeof request)
        fail("the path '%s' is too long", path);
    request_length = (size_t)length;

    /* The kernel adds up to 50 µs to a wait, unless it is told not to. */
    prctl(PR_SET_TIMERSLACK, 1);
    connections = calloc(connection_count, sizeof *connections);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!connections || epoll < 0)
        fail("cannot start: %s", strerror(errno));
    open_connections(url);

    uint64_t cpu = cpu_ns();
    interval_ns = (double)NANOSECONDS_PER_SECOND / rate;
    request_count = (uint64_t)(rate * seconds);
    start = now_ns();
    uint64_t end = start + (uint64_t)(seconds * (double)NANOSECONDS_PER_SECOND), now;
    for (uint64_t number = 0; (now = now_ns()) < end;) {
        number = send_due(number);
        poll_until(number < request_count ? due_at(number) : end);
    }
    uint64_t answered_in_time = answered;
    double used = (double)(cpu_ns() - cpu) / (double)(now - start);
    while (answered < request_count && (now = now_ns()) < end + GRACE_NS)
        poll_until(end + GRACE_NS);

    uint64_t unanswered = request_count - answered;
    now = now_ns();
    for (uint64_t i = 0; i < connection_count; i++)
        for (uint64_t number = connections[i].next; number < request_count; number += connection_count)
            record(&latencies, now - due_at(number));

    printf("{\"seconds\": %.3f, \"generator_cores\": %.3f, \"due\": %" PRIu64 ", \"held\": %.5f, \"late_p99_us\": %.1f, "
           "\"bytes_received\": %" PRIu64 ",\n ",
           seconds, used, request_count, (double)answered_in_time / (double)request_count, (double)percentile(&lateness, 0.99) / 1000,
           bytes_received);
    print_group("http", &latencies, answered, unanswered, seconds);
    printf("}\n");
    return 0;
}
