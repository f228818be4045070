/*
 * Short requests beside large answers: what those leave to others. Two requests at a time, one on a connection that is kept and one on a
 * new one, which counts from connect to answer. Prints one JSON object with the latencies of both kinds.
 *
 *   beside --url 127.0.0.1:8080 [--path /plaintext] [--large-path /download/100000000] [--downloads 16] [--unread 0] [--seconds 3]
 *
 * --downloads N: a second process has N large answers coming all the time, as fast as it can, and discards them; the two requests are sent
 *   every 5 ms.
 * --unread N: instead, in rounds of a second or more, N clients ask for a large answer and do not read; right behind them come the two
 *   requests, once a round. The clients stay for the second: one server must not be spared what another has done by then.
 */
#define _GNU_SOURCE
#include "answer.h"
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define EVENTS 64
#define BUFFER_SIZE 4096
#define HEAD_SIZE 1024
#define DISCARDED_AT_ONCE (1 << 20)
#define PAUSE_US 5000
#define STAY_US 1000000
/* Until the server has noticed that the clients of a round are gone. */
#define REST_US 200000
/* Until downloads are under way. */
#define LEAD_US 300000
#define PATIENCE_MS 20000

struct exchange {
    int fd;
    struct histogram latencies;
    size_t filled;
    char buffer[BUFFER_SIZE];
};

struct text {
    char text[512];
    size_t length;
};

static struct sockaddr_in address;
static struct text short_request, large_request;

static void set_request(struct text *target, const char *path, const char *host)
{
    int length = snprintf(target->text, sizeof target->text, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
    if (length < 0 || (size_t)length >= sizeof target->text)
        fail("the path '%s' is too long", path);
    target->length = (size_t)length;
}

static int connect_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect: %s", strerror(errno));
    return fd;
}

static void send_request(int fd, const struct text *request)
{
    if (send(fd, request->text, request->length, MSG_NOSIGNAL) != (ssize_t)request->length)
        fail("send: %s", strerror(errno));
}

/* Reads the head of a large answer without what follows it, and returns how long that is. */
static uint64_t receive_head(int fd)
{
    static const char status[] = "HTTP/1.1 200", field[] = "\r\nContent-Length: ";
    char head[HEAD_SIZE + 1];
    ssize_t count = recv(fd, head, HEAD_SIZE, MSG_PEEK);
    head[count > 0 ? count : 0] = 0;
    const char *end = strstr(head, "\r\n\r\n"), *length = strstr(head, field);
    if (count <= 0 || strncmp(head, status, sizeof status - 1) != 0 || !end || !length)
        fail("a large answer does not begin as it should: %.*s", (int)strcspn(head, "\r"), head);
    if (recv(fd, head, (size_t)(end + 4 - head), 0) != end + 4 - head)
        fail("receive: %s", strerror(errno));
    return strtoull(length + sizeof field - 1, NULL, 10);
}

/* Never returns: it is killed. */
static void download(long count, volatile uint64_t *bytes)
{
    struct download {
        int fd;
        uint64_t left;
    } *downloads = calloc((size_t)count, sizeof *downloads);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!downloads || epoll < 0)
        fail("cannot start: %s", strerror(errno));
    for (long i = 0; i < count; i++) {
        downloads[i].fd = connect_socket();
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &downloads[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, downloads[i].fd, &event) < 0)
            fail("epoll_ctl: %s", strerror(errno));
        send_request(downloads[i].fd, &large_request);
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            struct download *one = events[i].data.ptr;
            if (one->left == 0)
                one->left = receive_head(one->fd);
            /* The kernel drops the bytes without copying them. */
            size_t wanted = one->left < DISCARDED_AT_ONCE ? (size_t)one->left : DISCARDED_AT_ONCE;
            ssize_t got = recv(one->fd, NULL, wanted, MSG_TRUNC | MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN))
                fail("a download ended: %s", got < 0 ? strerror(errno) : "closed by the server");
            if (got < 0)
                continue;
            one->left -= (uint64_t)got;
            *bytes += (uint64_t)got;
            if (one->left == 0)
                send_request(one->fd, &large_request);
        }
    }
}

static bool receive_answer(struct exchange *exchange, uint64_t started_at)
{
    ssize_t count = recv(exchange->fd, exchange->buffer + exchange->filled, BUFFER_SIZE - 1 - exchange->filled, 0);
    if (count <= 0)
        fail("the server has ended a connection: %s", count < 0 ? strerror(errno) : "closed");
    exchange->filled += (size_t)count;
    exchange->buffer[exchange->filled] = 0;
    if (!is_complete_answer(exchange->buffer, exchange->filled))
        return false;
    record(&exchange->latencies, now_ns() - started_at);
    exchange->filled = 0;
    return true;
}

static void exchange_both(struct exchange *kept, struct exchange *fresh)
{
    uint64_t kept_at = now_ns();
    send_request(kept->fd, &short_request);
    uint64_t fresh_at = now_ns();
    fresh->fd = connect_socket();
    send_request(fresh->fd, &short_request);
    struct pollfd waits[] = {{.fd = kept->fd, .events = POLLIN}, {.fd = fresh->fd, .events = POLLIN}};
    while (waits[0].fd >= 0 || waits[1].fd >= 0) {
        if (poll(waits, 2, PATIENCE_MS) <= 0)
            fail("a request had no answer in %d s", PATIENCE_MS / 1000);
        if (waits[0].revents && receive_answer(kept, kept_at))
            waits[0].fd = -1;
        if (waits[1].revents && receive_answer(fresh, fresh_at))
            waits[1].fd = -1;
    }
    close(fresh->fd);
}

static void leave_unread(int *fds, long count, struct exchange *kept, struct exchange *fresh)
{
    for (long i = 0; i < count; i++)
        fds[i] = connect_socket();
    for (long i = 0; i < count; i++)
        send_request(fds[i], &large_request);
    uint64_t asked_at = now_ns();
    exchange_both(kept, fresh);
    uint64_t stayed = (now_ns() - asked_at) / 1000;
    if (stayed < STAY_US)
        usleep((useconds_t)(STAY_US - stayed));
    for (long i = 0; i < count; i++) {
        receive_head(fds[i]);
        close(fds[i]);
    }
    usleep(REST_US);
}

int main(int argc, char **argv)
{
    const char *url = NULL, *path = "/plaintext", *large_path = "/download/100000000";
    long downloads = 16, unread = 0;
    double seconds = 3;
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--url")) url = value;
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--large-path")) large_path = value;
        else if (!strcmp(name, "--downloads")) downloads = atol(value);
        else if (!strcmp(name, "--unread")) unread = atol(value);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else fail("unknown option: %s (see the head of this program's source)", name);
    }
    if (!url || downloads < 0 || unread < 0 || seconds <= 0)
        fail("--url is needed, and numbers must be positive");
    address = parse_address(url);
    set_request(&short_request, path, url);
    set_request(&large_request, large_path, url);

    int *fds = calloc((size_t)unread + 1, sizeof *fds);
    uint64_t *bytes = mmap(NULL, sizeof *bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static struct exchange kept, fresh;
    if (!fds || bytes == MAP_FAILED)
        fail("out of memory");
    kept.fd = connect_socket();

    pid_t downloader = 0;
    if (unread == 0 && downloads > 0) {
        downloader = fork();
        if (downloader == 0) {
            /* It must not outlive a run that is cancelled. */
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            download(downloads, bytes);
        }
        usleep(LEAD_US);
    }

    uint64_t start = now_ns(), end = start + (uint64_t)(seconds * (double)NANOSECONDS_PER_SECOND), first = *bytes, large = 0;
    while (now_ns() < end) {
        if (unread > 0) {
            leave_unread(fds, unread, &kept, &fresh);
            large += (uint64_t)unread;
        } else {
            exchange_both(&kept, &fresh);
            usleep(PAUSE_US);
        }
    }
    seconds = (double)(now_ns() - start) / NANOSECONDS_PER_SECOND;
    uint64_t received = *bytes - first;
    if (downloader > 0) {
        /* One that has ended has said why. */
        if (waitpid(downloader, NULL, WNOHANG) != 0)
            return 1;
        kill(downloader, SIGKILL);
        waitpid(downloader, NULL, 0);
    }

    uint64_t count = kept.latencies.count + fresh.latencies.count;
    printf("{\"seconds\": %.3f, \"requests\": %" PRIu64 ", \"bytes_received\": %" PRIu64 ",\n ", seconds, count + large, received);
    print_group("kept", &kept.latencies, kept.latencies.count, 0, seconds);
    printf(",\n ");
    print_group("new", &fresh.latencies, fresh.latencies.count, 0, seconds);
    printf("}\n");
    return 0;
}
