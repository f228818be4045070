/*
 * HTTP/1.1 clients, on one thread, for what other load generators cannot do: a given number of requests for each connection, from many
 * source addresses; bodies of any size; Unix sockets; TLS handshakes without resumption; connections that are opened, used once and held.
 * Each client sends its next request when it has the answer to the last. Prints one JSON object.
 *
 *   httpload (--url 127.0.0.1:8080 | --unix PATH) [--path /plaintext] [--connections 64] [--per-connection 0] [--sources 0] [--upload 0]
 *            [--seconds 3] [--tls 0] [--hold 0]
 *
 * --per-connection N: the N-th request on a connection says "Connection: close", and a new connection takes its place; 0: never.
 * --sources N: connections come from 127.0.0.2 and the N-1 addresses after it in turns. One address has too few ports for a minute of churn.
 * --upload N: each request is a POST with N bytes.
 * --hold 1: when each connection has had one answer, prints a line and keeps them open until its standard input ends.
 *
 * TLS needs OpenSSL: compile with -DWITH_TLS and -lssl -lcrypto.
 */
#define _GNU_SOURCE
#include "load.h"
#include <sys/un.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

#define EVENTS 64
#define HEAD_SIZE 2048
#define BLOCK_SIZE (256 * 1024)
#define OPENING_AT_ONCE 256

enum state { CONNECTING, SHAKING_HANDS, SENDING, RECEIVING_HEAD, RECEIVING_BODY, ENDING, HELD };

struct connection {
    int fd;
    enum state state;
    uint32_t watched;
    uint64_t sent_at;
    long requests;
    size_t head_sent;
    uint64_t body_left;
    size_t filled;
    char head[HEAD_SIZE];
#ifdef WITH_TLS
    SSL *tls;
#endif
};

struct request {
    char text[512];
    size_t length;
};

static struct sockaddr_in address;
static struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
static struct request request, last_request;
static long per_connection, sources;
static uint64_t upload;
static bool is_tls, is_hold;
static struct histogram latencies;
static uint64_t answered, opened, held, bytes_sent, bytes_received;
static char block[BLOCK_SIZE];
static int epoll;

#ifdef WITH_TLS
static SSL_CTX *tls_context;

static void start_tls(void)
{
    tls_context = SSL_CTX_new(TLS_client_method());
    if (!tls_context)
        fail("OpenSSL cannot start");
    /* Each handshake is a full one: whether a ticket comes in time to be used would be chance. */
    SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(tls_context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/* What the socket must be able to do before OpenSSL can go on; 0 if the peer has ended it. */
static uint32_t tls_wants(struct connection *connection, int result)
{
    int error = SSL_get_error(connection->tls, result);
    /* The queue of errors belongs to the thread: what is left in it would be taken for the next connection's. */
    ERR_clear_error();
    switch (error) {
    case SSL_ERROR_WANT_READ: return EPOLLIN;
    case SSL_ERROR_WANT_WRITE: return EPOLLOUT;
    case SSL_ERROR_ZERO_RETURN: return 0;
    default:
        if (connection->state == ENDING)
            return 0;
        fail("TLS failed");
    }
}
#else
static void start_tls(void) { fail("compiled without TLS"); }
#endif

static void watch(struct connection *connection, uint32_t events)
{
    if (connection->watched == events)
        return;
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(epoll, connection->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, connection->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
    connection->watched = events;
}

static int open_unix_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&unix_address, sizeof unix_address) < 0)
        fail("connect: %s", strerror(errno));
    return fd;
}

static void open_connection(struct connection *connection)
{
    struct in_addr source = {.s_addr = htonl(sources ? INADDR_LOOPBACK + 1 + (uint32_t)(opened % (uint64_t)sources) : INADDR_ANY)};
    memset(connection, 0, sizeof *connection);
    connection->sent_at = now_ns();
    connection->fd = unix_address.sun_path[0] ? open_unix_socket() : open_socket_from(&address, source);
    opened++;
    watch(connection, EPOLLOUT);
}

/* Bytes, 0 at the end of the stream, or -1 if it has to be asked for again. */
static ssize_t receive(struct connection *connection, char *buffer, size_t size)
{
    ssize_t count;
#ifdef WITH_TLS
    if (connection->tls) {
        count = SSL_read(connection->tls, buffer, (int)size);
        if (count <= 0) {
            uint32_t wants = tls_wants(connection, (int)count);
            if (!wants)
                return 0;
            watch(connection, wants);
            return -1;
        }
        bytes_received += (uint64_t)count;
        return count;
    }
#endif
    count = recv(connection->fd, buffer, size, 0);
    if (count < 0 && errno == EAGAIN) {
        watch(connection, EPOLLIN);
        return -1;
    }
    if (count < 0)
        fail("receive: %s", strerror(errno));
    bytes_received += (uint64_t)count;
    return count;
}

/* Bytes, or 0 if it has to be asked for again. */
static size_t transmit(struct connection *connection, const char *data, size_t size)
{
    ssize_t count;
#ifdef WITH_TLS
    if (connection->tls) {
        count = SSL_write(connection->tls, data, (int)size);
        if (count <= 0) {
            uint32_t wants = tls_wants(connection, (int)count);
            if (!wants)
                fail("the server has ended a connection");
            watch(connection, wants);
            return 0;
        }
        bytes_sent += (uint64_t)count;
        return (size_t)count;
    }
#endif
    count = send(connection->fd, data, size, MSG_NOSIGNAL);
    if (count < 0 && errno == EAGAIN) {
        watch(connection, EPOLLOUT);
        return 0;
    }
    if (count < 0)
        fail("send: %s", strerror(errno));
    bytes_sent += (uint64_t)count;
    return (size_t)count;
}

static void begin_request(struct connection *connection)
{
    connection->state = SENDING;
    connection->requests++;
    connection->head_sent = 0;
    connection->body_left = upload;
    connection->filled = 0;
}

/* Goes on where it stopped; false if the socket takes no more for now. */
static bool send_some(struct connection *connection)
{
    const struct request *head = connection->requests == per_connection ? &last_request : &request;
    while (connection->head_sent < head->length || connection->body_left > 0) {
        bool is_head = connection->head_sent < head->length;
        size_t wanted = is_head ? head->length - connection->head_sent
                                : (connection->body_left < BLOCK_SIZE ? (size_t)connection->body_left : BLOCK_SIZE);
        size_t count = transmit(connection, is_head ? head->text + connection->head_sent : block, wanted);
        if (!count)
            return false;
        if (is_head)
            connection->head_sent += count;
        else {
            connection->body_left -= count;
            /* One block a turn: the others want to send as well. */
            if (connection->body_left > 0) {
                watch(connection, EPOLLOUT);
                return false;
            }
        }
    }
    connection->state = RECEIVING_HEAD;
    return true;
}

static void on_answer(struct connection *connection)
{
    uint64_t now = now_ns();
    record(&latencies, now - connection->sent_at);
    answered++;
    if (is_hold) {
        connection->state = HELD;
        held++;
    } else if (connection->requests == per_connection)
        connection->state = ENDING;
    else {
        connection->sent_at = now;
        begin_request(connection);
    }
}

/* False if there is nothing to receive for now. */
static bool receive_head(struct connection *connection)
{
    static const char status[] = "HTTP/1.1 200";
    static const char field[] = "\r\nContent-Length: ";
    char *start = connection->head;
    ssize_t count = receive(connection, start + connection->filled, HEAD_SIZE - 1 - connection->filled);
    if (count < 0)
        return false;
    if (count == 0)
        fail("the server has ended a connection");
    connection->filled += (size_t)count;
    start[connection->filled] = 0;
    const char *end = memmem(start, connection->filled, "\r\n\r\n", 4);
    if (!end) {
        if (connection->filled == HEAD_SIZE - 1)
            fail("the head of an answer is longer than %d bytes", HEAD_SIZE - 1);
        return true;
    }
    if (memcmp(start, status, sizeof status - 1) != 0)
        fail("the answer is %.*s", (int)strcspn(start, "\r"), start);
    const char *length = memmem(start, (size_t)(end - start), field, sizeof field - 1);
    if (!length)
        fail("an answer has no Content-Length");
    uint64_t body = strtoull(length + sizeof field - 1, NULL, 10), came = (uint64_t)(start + connection->filled - (end + 4));
    if (came > body)
        fail("more came than was asked for");
    connection->body_left = body - came;
    connection->state = RECEIVING_BODY;
    if (connection->body_left == 0)
        on_answer(connection);
    return true;
}

static bool receive_body(struct connection *connection)
{
    static char sink[BLOCK_SIZE];
    size_t wanted = connection->body_left < BLOCK_SIZE ? (size_t)connection->body_left : BLOCK_SIZE;
    ssize_t count = receive(connection, sink, wanted);
    if (count < 0)
        return false;
    if (count == 0)
        fail("the server has ended a connection in the middle of an answer");
    connection->body_left -= (uint64_t)count;
    if (connection->body_left == 0)
        on_answer(connection);
    return true;
}

/* The server closes, as it was told to. */
static bool await_end(struct connection *connection)
{
    char rest[64];
    ssize_t count = receive(connection, rest, sizeof rest);
    if (count < 0)
        return false;
    if (count > 0)
        fail("more came than was asked for");
#ifdef WITH_TLS
    if (connection->tls)
        SSL_free(connection->tls);
#endif
    close(connection->fd);
    open_connection(connection);
    return false;
}

static void on_connected(struct connection *connection)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error)
        fail("connect: %s", strerror(error));
#ifdef WITH_TLS
    if (is_tls) {
        connection->tls = SSL_new(tls_context);
        if (!connection->tls || !SSL_set_fd(connection->tls, connection->fd))
            fail("OpenSSL is out of memory");
        SSL_set_connect_state(connection->tls);
        connection->state = SHAKING_HANDS;
        return;
    }
#endif
    /* To a client that stays, connecting is not part of a request. */
    if (!per_connection)
        connection->sent_at = now_ns();
    begin_request(connection);
}

static bool shake_hands(struct connection *connection)
{
#ifdef WITH_TLS
    int result = SSL_do_handshake(connection->tls);
    if (result != 1) {
        uint32_t wants = tls_wants(connection, result);
        if (!wants)
            fail("the server has ended a handshake");
        watch(connection, wants);
        return false;
    }
    if (!per_connection)
        connection->sent_at = now_ns();
    begin_request(connection);
#endif
    return connection->state == SENDING;
}

static bool step(struct connection *connection)
{
    switch (connection->state) {
    case CONNECTING: on_connected(connection); return true;
    case SHAKING_HANDS: return shake_hands(connection);
    case SENDING:
        if (!send_some(connection))
            return false;
        /* The answer cannot be there yet. */
        watch(connection, EPOLLIN);
        return false;
    case RECEIVING_HEAD: return receive_head(connection);
    case RECEIVING_BODY: return receive_body(connection);
    case ENDING: return await_end(connection);
    default: return false;
    }
}

/* After an answer the socket is empty: the next request goes out at once, and then it is another event's turn. */
static void on_event(struct connection *connection)
{
    while (step(connection)) {
    }
}

static void poll_once(int timeout)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, timeout);
    if (count < 0 && errno != EINTR)
        fail("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < count; i++)
        on_event(events[i].data.ptr);
}

/* A few at a time: more would not fit into the queue of a listening socket. */
static void hold(struct connection *connections, uint64_t count)
{
    while (held < count) {
        while (opened < count && opened - held < OPENING_AT_ONCE)
            open_connection(&connections[opened]);
        poll_once(-1);
    }
    printf("{\"held\": %" PRIu64 "}\n", held);
    fflush(stdout);

    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }

    uint64_t lost = 0;
    for (uint64_t i = 0; i < count; i++)
        lost += recv(connections[i].fd, &byte, 1, MSG_PEEK) == 0;
    printf("{\"lost\": %" PRIu64 "}\n", lost);
}

static void set_request(struct request *target, const char *path, const char *host, const char *fields)
{
    char length[64] = "";
    if (upload)
        snprintf(length, sizeof length, "Content-Length: %" PRIu64 "\r\n", upload);
    int written = snprintf(target->text, sizeof target->text, "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", upload ? "POST" : "GET", path, host,
                           length, fields);
    if (written < 0 || (size_t)written >= sizeof target->text)
        fail("the path '%s' is too long", path);
    target->length = (size_t)written;
}

int main(int argc, char **argv)
{
    const char *url = NULL, *socket_path = NULL, *path = "/plaintext";
    long count = 64;
    double seconds = 3;
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--url")) url = value;
        else if (!strcmp(name, "--unix")) socket_path = value;
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--connections")) count = atol(value);
        else if (!strcmp(name, "--per-connection")) per_connection = atol(value);
        else if (!strcmp(name, "--sources")) sources = atol(value);
        else if (!strcmp(name, "--upload")) upload = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else if (!strcmp(name, "--tls")) is_tls = atoi(value);
        else if (!strcmp(name, "--hold")) is_hold = atoi(value);
        else fail("unknown option: %s (see the head of this program's source)", name);
    }
    if (!url == !socket_path || count <= 0 || per_connection < 0 || sources < 0 || sources > 250 || seconds <= 0)
        fail("--url or --unix is needed, there are at most 250 sources, and no number may be negative");
    if (socket_path && strlen(socket_path) >= sizeof unix_address.sun_path)
        fail("the path of the socket is too long");

    if (url)
        address = parse_address(url);
    else
        strcpy(unix_address.sun_path, socket_path);
    if (is_tls)
        start_tls();
    set_request(&request, path, url ? url : "localhost", "");
    set_request(&last_request, path, url ? url : "localhost", "Connection: close\r\n");
    struct connection *connections = calloc((size_t)count, sizeof *connections);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!connections || epoll < 0)
        fail("cannot start: %s", strerror(errno));
    if (is_hold) {
        hold(connections, (uint64_t)count);
        return 0;
    }

    uint64_t cpu = cpu_ns(), start = now_ns(), end = start + (uint64_t)(seconds * (double)NANOSECONDS_PER_SECOND);
    for (long i = 0; i < count; i++)
        open_connection(&connections[i]);
    for (uint64_t now = start; now < end; now = now_ns())
        poll_once(milliseconds_until(end, now));
    seconds = (double)(now_ns() - start) / NANOSECONDS_PER_SECOND;

    printf("{\"seconds\": %.3f, \"generator_cores\": %.3f, \"connections\": %" PRIu64 ", \"bytes_sent\": %" PRIu64 ", \"bytes_received\": %" PRIu64
           ",\n ",
           seconds, (double)(cpu_ns() - cpu) / NANOSECONDS_PER_SECOND / seconds, opened, bytes_sent, bytes_received);
    print_group("http", &latencies, answered, 0, seconds);
    printf("}\n");
    return 0;
}
