/*
 * Three kinds of HTTP/1.1 clients at once, on one thread: some on a fast route, some on a route that blocks, and one that opens a new
 * connection at fixed intervals, sends one request and measures from connect to answer. Each of the others sends its next request when it
 * has the answer to the last. Prints one JSON object with the rates and latencies of each kind.
 *
 *   blockingmix --url 127.0.0.1:8080 [--fast-path /plaintext] [--fast-clients 8] [--block-path /sleep/100] [--block-clients 200]
 *               [--new-every 50] [--seconds 8]
 *
 * What is unanswered at the end may be answered within another second. It does not count for the rate, but its latency is recorded; what
 * is unanswered even then is counted, and recorded with the time it has waited. Otherwise a server that answers nothing would look fast.
 */
#define _GNU_SOURCE
#include "load.h"

#define EVENTS 64
#define BUFFER_SIZE 2048
#define GRACE_NS NANOSECONDS_PER_SECOND

struct group {
    const char *name;
    char request[512];
    size_t request_length;
    uint64_t answered;
    uint64_t unanswered;
    struct histogram latencies;
};

/* Linked, so that those that wait at the end can be found. */
struct connection {
    struct group *group;
    struct connection *next;
    struct connection **link;
    uint64_t sent_at;
    int fd;
    bool once;
    bool is_open;
    bool is_waiting;
    size_t filled;
    char buffer[BUFFER_SIZE];
};

static struct group fast = {.name = "fast"};
static struct group blocking = {.name = "blocking"};
static struct group fresh = {.name = "new"};
static struct connection *connections;
static struct sockaddr_in address;
static int epoll;
static bool is_over;
static uint64_t waiting;

static void set_request(struct group *group, const char *path, const char *host)
{
    int length = snprintf(group->request, sizeof group->request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
    if (length < 0 || (size_t)length >= sizeof group->request)
        fail("the path '%s' is too long", path);
    group->request_length = (size_t)length;
}

static void send_request(struct connection *connection)
{
    struct group *group = connection->group;
    ssize_t sent = send(connection->fd, group->request, group->request_length, MSG_NOSIGNAL);
    if (sent != (ssize_t)group->request_length)
        fail("%s: a request could not be sent: %s", group->name, sent < 0 ? strerror(errno) : "the socket is full");
}

static void begin(struct connection *connection, uint64_t now)
{
    connection->sent_at = now;
    connection->is_waiting = true;
    waiting++;
}

static void connect_client(struct group *group, bool once)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        fail("out of memory");
    connection->group = group;
    connection->once = once;
    begin(connection, now_ns());
    connection->fd = open_socket(&address);
    connection->next = connections;
    connection->link = &connections;
    if (connections)
        connections->link = &connection->next;
    connections = connection;

    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
}

static void discard(struct connection *connection)
{
    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    close(connection->fd);
    free(connection);
}

static void on_connected(struct connection *connection)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error)
        fail("%s: connect: %s", connection->group->name, strerror(error));
    connection->is_open = true;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));

    /* To a client that stays, connecting is not part of a request. */
    if (!connection->once)
        connection->sent_at = now_ns();
    send_request(connection);
}

/* The length of the response at the start of the buffer; 0 if its head is not complete. */
static size_t response_length(const struct connection *connection)
{
    static const char status[] = "HTTP/1.1 200";
    static const char field[] = "\r\nContent-Length: ";
    const char *start = connection->buffer;
    const char *end = memmem(start, connection->filled, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (memcmp(start, status, sizeof status - 1) != 0)
        fail("%s: the answer is %.*s", connection->group->name, (int)strcspn(start, "\r"), start);
    const char *length = memmem(start, (size_t)(end - start), field, sizeof field - 1);
    if (!length)
        fail("%s: an answer has no Content-Length", connection->group->name);
    return (size_t)(end + 4 - start) + strtoul(length + sizeof field - 1, NULL, 10);
}

static void on_readable(struct connection *connection)
{
    ssize_t count = recv(connection->fd, connection->buffer + connection->filled, BUFFER_SIZE - 1 - connection->filled, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        fail("%s: the connection ended: %s", connection->group->name, count < 0 ? strerror(errno) : "closed by the server");
    connection->filled += (size_t)count;
    connection->buffer[connection->filled] = 0;
    size_t length = response_length(connection);
    if (length >= BUFFER_SIZE || (!length && connection->filled == BUFFER_SIZE - 1))
        fail("%s: an answer is longer than %d bytes", connection->group->name, BUFFER_SIZE - 1);
    if (!length || connection->filled < length)
        return;
    if (connection->filled > length || !connection->is_waiting)
        fail("%s: more came than was asked for", connection->group->name);

    uint64_t now = now_ns();
    struct group *group = connection->group;
    record(&group->latencies, now - connection->sent_at);
    connection->filled = 0;
    connection->is_waiting = false;
    waiting--;
    group->answered += !is_over;
    if (connection->once)
        discard(connection);
    else if (!is_over) {
        begin(connection, now);
        send_request(connection);
    }
}

static void poll_once(int timeout)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, timeout);
    if (count < 0 && errno != EINTR)
        fail("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (connection->is_open)
            on_readable(connection);
        else
            on_connected(connection);
    }
}

static void run(double seconds, int new_every)
{
    uint64_t now = now_ns();
    uint64_t end = now + (uint64_t)(seconds * (double)NANOSECONDS_PER_SECOND);
    uint64_t step = (uint64_t)new_every * NANOSECONDS_PER_MILLISECOND;
    uint64_t next = step ? now + step : UINT64_MAX;
    for (; now < end; now = now_ns()) {
        if (now >= next) {
            connect_client(&fresh, true);
            next += step;
        }
        poll_once(milliseconds_until(next < end ? next : end, now));
    }
}

static void finish(void)
{
    is_over = true;
    uint64_t end = now_ns() + GRACE_NS;
    for (uint64_t now = now_ns(); waiting > 0 && now < end; now = now_ns())
        poll_once(milliseconds_until(end, now));
    for (struct connection *connection = connections; connection; connection = connection->next) {
        if (connection->is_waiting) {
            connection->group->unanswered++;
            record(&connection->group->latencies, now_ns() - connection->sent_at);
        }
    }
}

int main(int argc, char **argv)
{
    const char *url = NULL, *fast_path = "/plaintext", *block_path = "/sleep/100";
    int fast_clients = 8, block_clients = 200, new_every = 50;
    double seconds = 8;
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--url")) url = value;
        else if (!strcmp(name, "--fast-path")) fast_path = value;
        else if (!strcmp(name, "--fast-clients")) fast_clients = atoi(value);
        else if (!strcmp(name, "--block-path")) block_path = value;
        else if (!strcmp(name, "--block-clients")) block_clients = atoi(value);
        else if (!strcmp(name, "--new-every")) new_every = atoi(value);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else fail("unknown option: %s (see the head of this program's source)", name);
    }
    if (!url || fast_clients < 0 || block_clients < 0 || new_every < 0 || seconds <= 0)
        fail("--url is needed, and no number may be negative");

    address = parse_address(url);
    set_request(&fast, fast_path, url);
    set_request(&blocking, block_path, url);
    set_request(&fresh, fast_path, url);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        fail("epoll_create1: %s", strerror(errno));
    for (int i = 0; i < fast_clients; i++)
        connect_client(&fast, false);
    for (int i = 0; i < block_clients; i++)
        connect_client(&blocking, false);

    uint64_t cpu = cpu_ns();
    run(seconds, new_every);
    double cpu_us = (double)(cpu_ns() - cpu) / 1000;
    finish();

    printf("{\"seconds\": %.1f, \"generator_cpu_us_per_fast_request\": %.2f, \"generator_cores\": %.3f,\n ", seconds,
           fast.answered ? cpu_us / (double)fast.answered : 0, cpu_us / seconds / 1e6);
    print_group(fast.name, &fast.latencies, fast.answered, fast.unanswered, seconds);
    printf(",\n ");
    print_group(blocking.name, &blocking.latencies, blocking.answered, blocking.unanswered, seconds);
    printf(",\n ");
    print_group(fresh.name, &fresh.latencies, fresh.answered, fresh.unanswered, seconds);
    printf("}\n");
    return 0;
}
