/* A fast OpenAI-compatible upstream on 127.0.0.1: one thread, epoll, keep-alive, no allocation per chunk.
 *
 *     upstream [--port N] MODEL...          prints {"port": N} when it listens
 *
 * A model's name says what it does, so that a gateway in between needs to know nothing of it:
 *
 *     bench-c200-g50-d10      200 content chunks, one every 50 ms, the first after 10 ms
 *     c: content chunks (16)   g: milliseconds between them (0: as fast as they go)   d: milliseconds before (0)
 *
 * POST /v1/chat/completions   unary, or SSE when the body says "stream": true
 * GET  /v1/models             the models named on the command line
 * GET  /stats                 counts since the start, and what is open now
 *
 * It believes its clients: a body is searched for the few keys that matter, not parsed.
 */
#include "loop.h"

enum { MODEL_BYTES = 96, MOST_BODY = 32 << 20, ENOUGH_UNSENT = 64 << 10 };

typedef struct Connection {
    int fd;
    Buffer in, out;
    size_t sent;
    bool waits_to_write, closing, answering;
    /* the answer under way */
    bool stream, usage;
    char model[MODEL_BYTES];
    uint64_t number, gap, due; /* due: of the next token, whenever it can be said */
    uint64_t wake;             /* the key in the heap */
    unsigned chunk, chunks;
    size_t place; /* in the heap, from 1; 0: not there */
    struct Connection *next_dead;
} Connection;

static int loop, timer, listener;
static uint64_t timer_set_to;
static long created;
static char **models;
static int model_count;
static struct { uint64_t requests, streams, chunks, cancelled, connections; int open_connections, open_answers; } count;

/* Closed within a batch of events, freed after it: a later event of the batch may still name it. */
static Connection *dead;

/* ---- the heap of answers by the time to go on ------------------------------------------------------------------------- */

static Connection **heap;
static size_t heap_size, heap_room;

static void put(size_t place, Connection *c) {
    heap[place] = c;
    c->place = place;
}

static void sift_up(size_t place) {
    Connection *c = heap[place];
    while (place > 1 && heap[place / 2]->wake > c->wake) {
        put(place, heap[place / 2]);
        place /= 2;
    }
    put(place, c);
}

static void sift_down(size_t place) {
    Connection *c = heap[place];
    for (size_t child; (child = 2 * place) <= heap_size; place = child) {
        if (child < heap_size && heap[child + 1]->wake < heap[child]->wake) child++;
        if (heap[child]->wake >= c->wake) break;
        put(place, heap[child]);
    }
    put(place, c);
}

static void schedule(Connection *c, uint64_t wake) {
    c->wake = wake;
    if (heap_size + 2 > heap_room) {
        heap_room = heap_room ? 2 * heap_room : 1024;
        heap = realloc(heap, heap_room * sizeof *heap);
        if (!heap) die("out of memory");
    }
    put(++heap_size, c);
    sift_up(heap_size);
}

static void unschedule(Connection *c) {
    size_t place = c->place;
    if (!place) return;
    c->place = 0;
    Connection *last = heap[heap_size--];
    if (last == c) return;
    put(place, last);
    sift_up(place);
    sift_down(last->place);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static void finish(Connection *c) {
    if (c->answering) {
        c->answering = false;
        count.open_answers--;
    }
}

static void hang_up(Connection *c) {
    if (c->fd < 0) return;
    if (c->answering) count.cancelled++;
    finish(c);
    unschedule(c);
    close(c->fd);
    c->fd = -1;
    count.open_connections--;
    c->next_dead = dead;
    dead = c;
}

static void flush(Connection *c) {
    while (c->sent < c->out.length) {
        ssize_t n = send(c->fd, c->out.at + c->sent, c->out.length - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) {
            hang_up(c);
            return;
        }
        c->sent += (size_t)n;
    }
    bool rest = c->sent < c->out.length;
    if (!rest) {
        c->sent = c->out.length = 0;
        if (c->closing && !c->answering) {
            hang_up(c);
            return;
        }
    }
    if (rest != c->waits_to_write) {
        c->waits_to_write = rest;
        watch(loop, EPOLL_CTL_MOD, c->fd, EPOLLIN | EPOLLRDHUP | (rest ? EPOLLOUT : 0), c);
    }
}

__attribute__((format(printf, 2, 3))) static void say(Connection *c, const char *format, ...) {
    va_list values;
    char *at = reserve(&c->out, 2048);
    va_start(values, format);
    int n = vsnprintf(at, 2048, format, values);
    va_end(values);
    c->out.length += n < 2048 ? (size_t)n : 2047;
}

static void reply(Connection *c, const char *status, const char *json, size_t length) {
    say(c, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n", status, length,
        c->closing ? "Connection: close\r\n" : "");
    append(&c->out, json, length);
}

static void refuse(Connection *c, const char *status, const char *message) {
    char json[512];
    int n = snprintf(json, sizeof json,
                     "{\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}", message);
    reply(c, status, json, (size_t)n);
}

/* One SSE event as one chunk of HTTP. */
static void say_event(Connection *c, const char *json, size_t length) {
    say(c, "%zx\r\n", length + 8);
    append(&c->out, "data: ", 6);
    append(&c->out, json, length);
    append(&c->out, "\n\n\r\n", 4);
}

static void say_delta(Connection *c, const char *delta, const char *finish_reason) {
    char json[512];
    int n = snprintf(json, sizeof json,
                     "{\"id\":\"chatcmpl-bench%llu\",\"object\":\"chat.completion.chunk\",\"created\":%ld,\"model\":\"%s\","
                     "\"choices\":[{\"index\":0,\"delta\":{%s},\"logprobs\":null,\"finish_reason\":%s}]%s}",
                     (unsigned long long)c->number, created, c->model, delta, finish_reason,
                     c->usage ? ",\"usage\":null" : "");
    say_event(c, json, (size_t)n);
}

static void say_usage(Connection *c) {
    char json[512];
    int n = snprintf(json, sizeof json,
                     "{\"id\":\"chatcmpl-bench%llu\",\"object\":\"chat.completion.chunk\",\"created\":%ld,\"model\":\"%s\","
                     "\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":%u,\"total_tokens\":%u}}",
                     (unsigned long long)c->number, created, c->model, c->chunks, c->chunks + 11);
    say_event(c, json, (size_t)n);
}

static void say_unary(Connection *c) {
    char json[1024];
    int n = snprintf(json, sizeof json,
                     "{\"id\":\"chatcmpl-bench%llu\",\"object\":\"chat.completion\",\"created\":%ld,\"model\":\"%s\","
                     "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"The quick brown fox jumps over "
                     "the lazy dog, and the dog does not mind.\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                     "\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":16,\"total_tokens\":27}}",
                     (unsigned long long)c->number, created, c->model);
    finish(c);
    reply(c, "200 OK", json, (size_t)n);
}

/* ---- answering ----------------------------------------------------------------------------------------------- */

/* Says what is due at `now`, and when to be called again. A stalled reader is not fed without limit. */
static void go_on(Connection *c, uint64_t now) {
    if (!c->stream) {
        say_unary(c);
        return;
    }
    if (c->chunk == 0) say_delta(c, "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", "null");
    while (c->chunk < c->chunks && c->due <= now && c->out.length - c->sent < ENOUGH_UNSENT) {
        char delta[64];
        snprintf(delta, sizeof delta, "\"content\":\"t%0*llx \"", TOKEN_DIGITS, (unsigned long long)(c->due / 1000));
        say_delta(c, delta, "null");
        count.chunks++;
        c->chunk++;
        c->due += c->gap;
    }
    if (c->chunk < c->chunks) {
        /* At its time; or, when the reader stalls, soon, by when it may have made room. */
        schedule(c, c->due > now ? c->due : now + 200000);
        return;
    }
    say_delta(c, "", "\"stop\"");
    if (c->usage) say_usage(c);
    append(&c->out, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n", 24);
    finish(c);
}

/* Just behind `"key":` in a JSON text, or NULL. The key inside a string value has its quotes escaped: no match. */
static const char *value_of(const char *json, size_t length, const char *key) {
    char quoted[40];
    size_t n = (size_t)snprintf(quoted, sizeof quoted, "\"%s\"", key);
    const char *end = json + length;
    for (const char *at = json; (at = memmem(at, (size_t)(end - at), quoted, n));) {
        at += n;
        const char *value = at;
        while (value < end && (*value == ' ' || *value == '\n' || *value == '\t' || *value == '\r')) value++;
        if (value == end || *value++ != ':') continue;
        while (value < end && (*value == ' ' || *value == '\n' || *value == '\t' || *value == '\r')) value++;
        return value;
    }
    return NULL;
}

static bool is_true(const char *body, size_t length, const char *key) {
    const char *value = value_of(body, length, key);
    return value && body + length - value >= 4 && !memcmp(value, "true", 4);
}

static unsigned parameter(const char *model, char letter, unsigned otherwise) {
    for (const char *dash = model; (dash = strchr(dash, '-')); dash++)
        if (dash[1] == letter && dash[2] >= '0' && dash[2] <= '9') return (unsigned)strtoul(dash + 2, NULL, 10);
    return otherwise;
}

static void complete(Connection *c, const char *body, size_t length) {
    const char *model = value_of(body, length, "model"), *quote;
    if (!model || *model++ != '"' || !(quote = memchr(model, '"', (size_t)(body + length - model))) ||
        quote - model >= MODEL_BYTES || memchr(model, '\\', (size_t)(quote - model))) {
        refuse(c, "400 Bad Request", "a plain model name is needed");
        return;
    }
    memcpy(c->model, model, (size_t)(quote - model));
    c->model[quote - model] = 0;
    c->stream = is_true(body, length, "stream");
    c->usage = c->stream && is_true(body, length, "include_usage");
    c->chunk = 0;
    c->chunks = parameter(c->model, 'c', 16);
    c->gap = parameter(c->model, 'g', 0) * 1000000ull;
    c->number = ++count.requests;
    c->answering = true;
    count.open_answers++;
    uint64_t now = now_ns(), delay = parameter(c->model, 'd', 0) * 1000000ull;
    c->due = now + delay;
    if (c->stream) {
        count.streams++;
        say(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
               "Transfer-Encoding: chunked\r\n%s\r\n", c->closing ? "Connection: close\r\n" : "");
    }
    if (delay)
        schedule(c, c->due);
    else
        go_on(c, now);
}

static void list_models(Connection *c) {
    Buffer json = {0};
    append(&json, "{\"object\":\"list\",\"data\":[", 25);
    for (int i = 0; i < model_count; i++) {
        char *at = reserve(&json, 256);
        json.length += (size_t)snprintf(at, 256, "%s{\"id\":\"%.90s\",\"object\":\"model\",\"created\":%ld,\"owned_by\":\"bench\"}",
                                        i ? "," : "", models[i], created);
    }
    append(&json, "]}", 2);
    reply(c, "200 OK", json.at, json.length);
    free(json.at);
}

static void tell_stats(Connection *c) {
    char json[512];
    int n = snprintf(json, sizeof json,
                     "{\"requests\":%llu,\"streams\":%llu,\"chunks\":%llu,\"cancelled\":%llu,\"connections\":%llu,"
                     "\"open_connections\":%d,\"open_answers\":%d}",
                     (unsigned long long)count.requests, (unsigned long long)count.streams, (unsigned long long)count.chunks,
                     (unsigned long long)count.cancelled, (unsigned long long)count.connections, count.open_connections,
                     count.open_answers);
    reply(c, "200 OK", json, (size_t)n);
}

static bool begins(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

/* Answers the requests that are complete in the buffer, one at a time. */
static void answer(Connection *c) {
    while (c->fd >= 0 && !c->answering && !c->closing && c->in.length) {
        char *end = memmem(c->in.at, c->in.length, "\r\n\r\n", 4);
        if (!end) {
            if (c->in.length > 64 << 10) hang_up(c);
            return;
        }
        size_t head = (size_t)(end - c->in.at) + 4, body = 0;
        const char *value;
        if ((value = header_value(c->in.at, head, "content-length"))) body = strtoul(value, NULL, 10);
        if ((value = header_value(c->in.at, head, "connection")) && !strncasecmp(value, "close", 5)) c->closing = true;
        if (header_value(c->in.at, head, "transfer-encoding") || body > MOST_BODY) {
            c->closing = true; /* where the body ends is not known */
            refuse(c, "411 Length Required", "send a content-length");
            flush(c);
            return;
        }
        if (c->in.length < head + body) {
            c->closing = false; /* decided when the whole request is here */
            return;
        }
        if (begins(c->in.at, "POST /v1/chat/completions "))
            complete(c, c->in.at + head, body);
        else if (begins(c->in.at, "GET /v1/models "))
            list_models(c);
        else if (begins(c->in.at, "GET /stats "))
            tell_stats(c);
        else
            refuse(c, "404 Not Found", "no such page");
        drop_front(&c->in, head + body);
        flush(c);
    }
}

static void run_due(void) {
    uint64_t now = now_ns();
    while (heap_size && heap[1]->wake <= now) {
        Connection *c = heap[1];
        unschedule(c);
        go_on(c, now);
        flush(c);
        if (c->fd >= 0 && !c->answering) answer(c);
    }
    uint64_t next = heap_size ? heap[1]->wake : 0;
    if (next != timer_set_to) wake_at(timer, timer_set_to = next);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

static void read_from(Connection *c) {
    for (;;) {
        char *at = reserve(&c->in, 16384);
        ssize_t n = recv(c->fd, at, 16384, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            hang_up(c);
            return;
        }
        c->in.length += (size_t)n;
        answer(c);
        if (c->fd < 0 || n < 16384) return;
    }
}

static void accept_all(void) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        Connection *c = calloc(1, sizeof *c);
        if (!c) die("out of memory");
        c->fd = fd;
        send_at_once(fd);
        count.connections++;
        count.open_connections++;
        watch(loop, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP, c);
    }
}

static int listen_on(int port) {
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    if (bind(listener, (struct sockaddr *)&at, size) < 0 || listen(listener, 4096) < 0) die("port %d: %s", port, strerror(errno));
    getsockname(listener, (struct sockaddr *)&at, &size);
    return ntohs(at.sin_port);
}

int main(int argc, char **argv) {
    int port = 0, first = 1;
    if (argc > 2 && !strcmp(argv[1], "--port")) {
        port = atoi(argv[2]);
        first = 3;
    }
    models = argv + first;
    model_count = argc - first;
    created = (long)time(NULL);
    settle_in();
    loop = epoll_create1(EPOLL_CLOEXEC);
    timer = new_timer();
    port = listen_on(port);
    watch(loop, EPOLL_CTL_ADD, listener, EPOLLIN, &listener);
    watch(loop, EPOLL_CTL_ADD, timer, EPOLLIN, &timer);
    printf("{\"port\": %d}\n", port);
    fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(loop, events, 256, -1);
        for (int i = 0; i < n; i++) {
            void *what = events[i].data.ptr;
            if (what == &listener) {
                accept_all();
            } else if (what == &timer) {
                uint64_t fired;
                timer_set_to = 0;
                if (read(timer, &fired, sizeof fired) < 0 && errno != EAGAIN) die("timer: %s", strerror(errno));
            } else {
                Connection *c = what;
                if (c->fd >= 0 && events[i].events & (EPOLLERR | EPOLLHUP)) hang_up(c);
                if (c->fd >= 0 && events[i].events & EPOLLOUT) flush(c);
                if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLRDHUP)) read_from(c);
            }
        }
        run_due();
        while (dead) {
            Connection *c = dead;
            dead = c->next_dead;
            free(c->in.at);
            free(c->out.at);
            free(c);
        }
    }
}
