/*
 * Clients of server-sent events, on one thread: each opens a stream and reads messages, whose text is a number and the time at which it was
 * sent, by CLOCK_MONOTONIC in nanoseconds. Prints one JSON object with the latencies, from sending to arrival.
 *
 *   sse --url 127.0.0.1:8080 [--path /events/20] [--connections 64] [--spread 20] [--seconds 3]
 *
 * The streams are opened over so many milliseconds, so that their messages do not all come at once. A missing message ends the program.
 */
#define _GNU_SOURCE
#include "load.h"

#define EVENTS 64
#define BUFFER_SIZE 8192

struct stream {
    int fd;
    bool has_status;
    uint64_t messages;
    size_t filled;
    char buffer[BUFFER_SIZE];
};

static struct histogram latencies;
static uint64_t bytes_received;
static int epoll;

static void on_line(struct stream *stream, const char *line, uint64_t now)
{
    static const char status[] = "HTTP/1.1 200", data[] = "data: ";
    if (!stream->has_status) {
        if (strncmp(line, status, sizeof status - 1) != 0)
            fail("the answer is %s", line);
        stream->has_status = true;
        return;
    }
    uint64_t number, sent_at;
    if (strncmp(line, data, sizeof data - 1) != 0)
        return;
    if (sscanf(line + sizeof data - 1, "%" SCNu64 " %" SCNu64, &number, &sent_at) != 2 || number != ++stream->messages || sent_at > now)
        fail("a message is wrong: %s", line);
    record(&latencies, now - sent_at);
}

static void receive(struct stream *stream)
{
    ssize_t count = recv(stream->fd, stream->buffer + stream->filled, BUFFER_SIZE - stream->filled, MSG_DONTWAIT);
    uint64_t now = now_ns();
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        fail("a stream ended: %s", count < 0 ? strerror(errno) : "closed by the server");
    bytes_received += (uint64_t)count;
    stream->filled += (size_t)count;

    /* Also the heads of chunks are lines. */
    char *line = stream->buffer, *end = stream->buffer + stream->filled, *line_end;
    while ((line_end = memchr(line, '\n', (size_t)(end - line)))) {
        *line_end = 0;
        on_line(stream, line, now);
        line = line_end + 1;
    }
    stream->filled = (size_t)(end - line);
    if (stream->filled == BUFFER_SIZE)
        fail("a line is longer than %d bytes", BUFFER_SIZE);
    memmove(stream->buffer, line, stream->filled);
}

static void poll_until(uint64_t due)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, milliseconds_until(due, now_ns()));
    if (count < 0 && errno != EINTR)
        fail("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < count; i++)
        receive(events[i].data.ptr);
}

int main(int argc, char **argv)
{
    const char *url = NULL, *path = "/events/20";
    long connections = 64;
    double spread = 20, seconds = 3;
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--url")) url = value;
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--connections")) connections = atol(value);
        else if (!strcmp(name, "--spread")) spread = atof(value);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else fail("unknown option: %s (see the head of this program's source)", name);
    }
    if (!url || connections <= 0 || spread < 0 || seconds <= 0)
        fail("--url is needed, and numbers must be positive");
    char request[512];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, url);
    if (length < 0 || (size_t)length >= sizeof request)
        fail("the path '%s' is too long", path);

    struct sockaddr_in address = parse_address(url);
    struct stream *streams = calloc((size_t)connections, sizeof *streams);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!streams || epoll < 0)
        fail("cannot start: %s", strerror(errno));

    uint64_t cpu = cpu_ns(), start = now_ns(), end = start + (uint64_t)(seconds * (double)NANOSECONDS_PER_SECOND);
    for (long i = 0; i < connections; i++) {
        uint64_t due = start + (uint64_t)(spread * (double)NANOSECONDS_PER_MILLISECOND * (double)i / (double)connections);
        while (now_ns() < due)
            poll_until(due);
        struct stream *stream = &streams[i];
        stream->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (stream->fd < 0 || connect(stream->fd, (struct sockaddr *)&address, sizeof address) < 0)
            fail("connect: %s", strerror(errno));
        if (send(stream->fd, request, (size_t)length, MSG_NOSIGNAL) != length)
            fail("send: %s", strerror(errno));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = stream};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, stream->fd, &event) < 0)
            fail("epoll_ctl: %s", strerror(errno));
    }
    while (now_ns() < end)
        poll_until(end);
    seconds = (double)(now_ns() - start) / NANOSECONDS_PER_SECOND;

    printf("{\"seconds\": %.3f, \"generator_cores\": %.3f, \"bytes_received\": %" PRIu64 ",\n ", seconds,
           (double)(cpu_ns() - cpu) / NANOSECONDS_PER_SECOND / seconds, bytes_received);
    print_group("sse", &latencies, latencies.count, 0, seconds);
    printf("}\n");
    return 0;
}
