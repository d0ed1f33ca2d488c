/* A load generator for one address: one thread, epoll, keep-alive; prints one JSON object.
 *
 *     load --port N --path P --body JSON [--key K] and one of
 *          --connections C [--ramp MS] (--seconds T | --requests N)     closed loop: each connection asks, waits, asks again
 *          --rate R --seconds T                                         open loop: R a second, whatever the answers do
 *     and  --stream [--chunks N]     answers are SSE, with N content tokens in each
 *          --grace S                 how long to wait for the last answers (10)
 *
 * K streams at once are `--connections K --requests K --stream --ramp MS`.
 * In the open loop an answer's latency counts from when it was to be asked, not from when we came to it, so a stall
 * is paid by all who would have asked meanwhile (no coordinated omission). Every sample is kept; percentiles are exact.
 *
 * failed: refused, broken off before the first byte, or another status than 200
 * incomplete: begun and not ended well (cut off, no [DONE], an error event, a missing token)
 * retried: a kept-alive connection was closed as we wrote to it; asked again on a new one, on the same clock
 */
#include "loop.h"

enum { LINE_BYTES = 4096, READ_BYTES = 64 << 10, ENOUGH_FAILURES = 1000 };

typedef enum { HEAD, LENGTH, SIZE, DATA, DATA_END, TRAILER, UNTIL_CLOSE } Part;

typedef struct Connection {
    int fd;
    bool connecting, active, used, keep, wants_write;
    size_t written;
    uint64_t scheduled, first_byte, first_token, last_token;
    Part part;
    int status;
    uint64_t left; /* bytes of the body or of the chunk */
    Buffer head, line;
    unsigned tokens;
    bool done, error;
    struct Connection *next; /* in the idle or in the dead list */
} Connection;

typedef struct {
    uint32_t *at; /* microseconds */
    size_t length, room;
} Samples;

static struct {
    int port, connections;
    const char *path, *body, *key;
    double rate, seconds, ramp, grace;
    unsigned long requests;
    unsigned chunks;
    bool stream;
} ask = {.path = "/v1/chat/completions", .grace = 10};

static int loop, timer;
static Buffer request;
static Connection *idle, *dead;
static uint64_t begin, last_start, hard_end, last_end;
static unsigned long arrivals, arrived, started, completed, failed, incomplete, retried, tokens, opened;
static long active;
static unsigned long statuses[600];
static char first_error[400];
static Samples latency, first_byte, first_token, token_delay, token_gap;

static void note(Samples *s, uint64_t from, uint64_t to) {
    if (s->length == s->room) {
        s->room = s->room ? 2 * s->room : 4096;
        s->at = realloc(s->at, s->room * sizeof *s->at);
        if (!s->at) die("out of memory");
    }
    uint64_t us = to > from ? (to - from) / 1000 : 0;
    s->at[s->length++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

__attribute__((format(printf, 1, 2))) static void note_error(const char *format, ...) {
    if (first_error[0]) return;
    va_list values;
    va_start(values, format);
    vsnprintf(first_error, sizeof first_error, format, values);
    va_end(values);
    for (char *c = first_error; *c; c++)
        if (*c == '"' || *c == '\\') *c = '\'';
        else if ((unsigned char)*c < ' ' || (unsigned char)*c > '~') *c = ' ';
}

/* ---- connections --------------------------------------------------------------------------------------------- */

static void start_on(Connection *c, uint64_t scheduled);

static void drop(Connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->next = dead;
    dead = c;
}

static void forget_idle(Connection *c) {
    for (Connection **at = &idle; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            return;
        }
}

static Connection *open_one(void) {
    Connection *c = calloc(1, sizeof *c);
    if (!c) die("out of memory");
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket: %s", strerror(errno));
    opened++;
    send_at_once(c->fd);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)ask.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* A refusal is told by epoll like any other end. */
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) note_error("connect: %s", strerror(errno));
    c->connecting = c->wants_write = true;
    watch(loop, EPOLL_CTL_ADD, c->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, c);
    return c;
}

static void write_request(Connection *c) {
    while (c->written < request.length) {
        ssize_t n = send(c->fd, request.at + c->written, request.length - c->written, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break; /* a broken connection is told by epoll */
        c->written += (size_t)n;
    }
    bool rest = c->written < request.length;
    if (rest != c->wants_write) {
        c->wants_write = rest;
        watch(loop, EPOLL_CTL_MOD, c->fd, EPOLLIN | EPOLLRDHUP | (rest ? EPOLLOUT : 0), c);
    }
}

static void start_on(Connection *c, uint64_t scheduled) {
    c->active = true;
    c->keep = true;
    c->part = HEAD;
    c->scheduled = scheduled;
    c->first_byte = c->first_token = c->last_token = 0;
    c->status = 0;
    c->written = c->head.length = c->line.length = 0;
    c->tokens = 0;
    c->done = c->error = false;
    if (!c->connecting) write_request(c);
}

/* A server that refuses everybody is not asked for ever, as fast as it can refuse. */
static bool closed_loop_goes_on(void) {
    if (ask.rate || now_ns() >= last_start || failed >= ENOUGH_FAILURES) return false;
    return !ask.requests || started < ask.requests;
}

static void start(Connection *c, uint64_t scheduled) {
    started++;
    active++;
    start_on(c, scheduled);
}

/* The answer has ended, well or not; what becomes of the connection is decided here. */
static void end_answer(Connection *c, bool whole) {
    uint64_t now = now_ns();
    if (!whole && c->used && !c->first_byte && c->fd >= 0) {
        uint64_t scheduled = c->scheduled;
        retried++;
        drop(c);
        start_on(open_one(), scheduled);
        return;
    }
    active--;
    last_end = now;
    if (c->status) statuses[c->status]++;
    bool well = c->done && !c->error && (!ask.stream || !ask.chunks || c->tokens == ask.chunks);
    if (c->status == 200 && whole && well) {
        completed++;
        note(&latency, c->scheduled, now);
        note(&first_byte, c->scheduled, c->first_byte);
        if (c->first_token) note(&first_token, c->scheduled, c->first_token);
    } else if (c->status == 200) {
        incomplete++;
        note_error("incomplete after %u tokens, %s: %.*s", c->tokens, whole ? "ended" : "cut off", (int)(c->line.length > 200 ? 200 : c->line.length),
                   c->line.at ? c->line.at : "");
    } else {
        failed++;
        note_error("status %d: %.*s", c->status, (int)(c->line.length > 300 ? 300 : c->line.length), c->line.at ? c->line.at : "");
    }
    c->active = false;
    c->used = true;
    if (!whole || !c->keep) {
        drop(c);
        c = NULL;
    }
    if (closed_loop_goes_on()) {
        start(c ? c : open_one(), now);
    } else if (c) {
        c->next = idle;
        idle = c;
    }
}

/* ---- what an answer says --------------------------------------------------------------------------------------- */

/* "content":"t0005f3a...  t..." : tokens carry the time at which they were due. */
static void read_tokens(Connection *c, const char *at, const char *end, uint64_t now) {
    while (end - at >= TOKEN_BYTES && *at == 't') {
        uint64_t due = 0;
        for (int i = 1; i <= TOKEN_DIGITS; i++) {
            char digit = at[i];
            due = due << 4 | (uint64_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
        }
        at += TOKEN_BYTES;
        c->tokens++;
        tokens++;
        if (!c->first_token) c->first_token = now;
        note(&token_delay, due * 1000, now);
        if (c->last_token) note(&token_gap, c->last_token, now);
        c->last_token = now;
    }
}

static void read_line(Connection *c, uint64_t now) {
    const char *line = c->line.at, *end = line + c->line.length;
    if (c->line.length < 6 || memcmp(line, "data:", 5)) return;
    if (memmem(line, c->line.length, "[DONE]", 6)) {
        c->done = true;
        return;
    }
    const char *content = memmem(line, c->line.length, "\"content\":", 10);
    if (content) {
        content += 10;
        if (content < end && *content == ' ') content++;
        if (content < end && *content == '"') read_tokens(c, content + 1, end, now);
    } else if (memmem(line, c->line.length, "\"error\":", 8)) {
        c->error = true;
        note_error("error event: %.*s", (int)(c->line.length > 300 ? 300 : c->line.length), line);
    }
}

static void body(Connection *c, const char *at, size_t length, uint64_t now) {
    const char *end = at + length;
    if (!ask.stream || c->status != 200) { /* the first bytes are enough to judge it by */
        size_t room = LINE_BYTES - c->line.length;
        append(&c->line, at, length < room ? length : room);
        return;
    }
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((stop ? stop : end) - at), room = LINE_BYTES - c->line.length;
        append(&c->line, at, n < room ? n : room);
        if (!stop) return;
        read_line(c, now);
        c->line.length = 0;
        at = stop + 1;
    }
}

static void whole_body(Connection *c) {
    if (!ask.stream)
        c->done = c->line.length && memmem(c->line.at, c->line.length, "\"choices\"", 9) &&
                  memmem(c->line.at, c->line.length, "\"usage\"", 7);
    end_answer(c, true);
}

/* Reads the head once it is whole; false: not yet. */
static bool head_is_read(Connection *c) {
    char *end = c->head.length ? memmem(c->head.at, c->head.length, "\r\n\r\n", 4) : NULL;
    if (!end) return false;
    size_t length = (size_t)(end - c->head.at) + 4;
    const char *value;
    c->status = c->head.length > 12 ? atoi(c->head.at + 9) : 0;
    if (c->status < 100 || c->status > 599) c->status = 599;
    if ((value = header_value(c->head.at, length, "connection")) && !strncasecmp(value, "close", 5)) c->keep = false;
    if (header_value(c->head.at, length, "transfer-encoding")) {
        c->part = SIZE;
        c->left = 0;
    } else if ((value = header_value(c->head.at, length, "content-length"))) {
        c->part = LENGTH;
        c->left = strtoull(value, NULL, 10);
    } else {
        c->part = UNTIL_CLOSE;
        c->keep = false;
    }
    return true;
}

static int hex(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    digit |= 32;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Takes bytes off the wire. Ends the answer when its last byte is there; bytes after it are an error of the server. */
static void take(Connection *c, const char *at, size_t length, uint64_t now) {
    const char *end = at + length;
    while (at < end || (c->part == LENGTH && !c->left)) {
        switch (c->part) {
        case HEAD: {
            size_t before = c->head.length;
            append(&c->head, at, (size_t)(end - at));
            if (!head_is_read(c)) return;
            size_t head = (size_t)((char *)memmem(c->head.at, c->head.length, "\r\n\r\n", 4) - c->head.at) + 4;
            at += head - before;
            break;
        }
        case LENGTH: {
            size_t n = (size_t)(end - at) < c->left ? (size_t)(end - at) : (size_t)c->left;
            body(c, at, n, now);
            at += n;
            if (c->left -= n) return;
            whole_body(c);
            return;
        }
        case SIZE:
            if (hex(*at) >= 0) {
                c->left = c->left << 4 | (uint64_t)hex(*at);
            } else if (*at == '\n') {
                c->part = c->left ? DATA : TRAILER;
                c->head.length = 0;
            }
            at++;
            break;
        case DATA: {
            size_t n = (size_t)(end - at) < c->left ? (size_t)(end - at) : (size_t)c->left;
            body(c, at, n, now);
            at += n;
            if (!(c->left -= n)) c->part = DATA_END;
            break;
        }
        case DATA_END:
            if (*at++ == '\n') c->part = SIZE;
            break;
        case TRAILER: /* lines until an empty one */
            if (*at == '\n') {
                bool empty = c->head.length == 0;
                c->head.length = 0;
                if (empty) {
                    whole_body(c);
                    return;
                }
            } else if (*at != '\r') {
                append(&c->head, at, 1);
            }
            at++;
            break;
        case UNTIL_CLOSE:
            body(c, at, (size_t)(end - at), now);
            return;
        }
    }
}

static void gone(Connection *c) {
    if (!c->active) {
        forget_idle(c);
        drop(c);
    } else if (c->part == UNTIL_CLOSE) {
        whole_body(c);
    } else {
        end_answer(c, false);
    }
}

static void read_from(Connection *c) {
    static char bytes[READ_BYTES];
    while (c->fd >= 0) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0 || !c->active) {
            gone(c);
            return;
        }
        uint64_t now = now_ns();
        if (!c->first_byte) c->first_byte = now;
        take(c, bytes, (size_t)n, now);
        if (n < READ_BYTES) return;
    }
}

/* ---- arrivals -------------------------------------------------------------------------------------------------- */

static uint64_t arrival_time(unsigned long number) {
    double apart = ask.rate ? 1e9 / ask.rate : ask.ramp * 1e6 / ask.connections;
    return begin + (uint64_t)((double)number * apart);
}

static void let_arrive(void) {
    uint64_t now = now_ns();
    while (arrived < arrivals && arrival_time(arrived) <= now) {
        Connection *c = idle;
        if (c) idle = c->next;
        /* In the closed loop a connection's first question is on time by definition. */
        start(c ? c : open_one(), ask.rate ? arrival_time(arrived) : now);
        arrived++;
    }
    uint64_t next = arrived < arrivals ? arrival_time(arrived) : hard_end;
    wake_at(timer, next < hard_end ? next : hard_end);
}

/* ---- the report ------------------------------------------------------------------------------------------------ */

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, Samples *s) {
    if (!s->length) return;
    qsort(s->at, s->length, sizeof *s->at, by_size);
    double sum = 0;
    for (size_t i = 0; i < s->length; i++) sum += s->at[i];
#define AT(share) s->at[(size_t)((double)(s->length - 1) * (share) + 0.5)]
    printf(", \"%s\": {\"count\": %zu, \"mean\": %.1f, \"p50\": %u, \"p90\": %u, \"p99\": %u, \"max\": %u}", name, s->length,
           sum / (double)s->length, AT(0.5), AT(0.9), AT(0.99), s->at[s->length - 1]);
#undef AT
}

static void report(void) {
    double seconds = (double)((last_end ? last_end : now_ns()) - begin) / 1e9;
    printf("{\"seconds\": %.3f, \"started\": %lu, \"completed\": %lu, \"failed\": %lu, \"incomplete\": %lu, \"retried\": %lu, "
           "\"opened\": %lu, \"per_second\": %.1f, \"tokens\": %lu, \"statuses\": {",
           seconds, started, completed, failed, incomplete, retried, opened, (double)completed / seconds, tokens);
    const char *comma = "";
    for (int i = 0; i < 600; i++)
        if (statuses[i]) {
            printf("%s\"%d\": %lu", comma, i, statuses[i]);
            comma = ", ";
        }
    printf("}, \"first_error\": \"%s\"", first_error);
    print_samples("latency_us", &latency);
    print_samples("first_byte_us", &first_byte);
    print_samples("first_token_us", &first_token);
    print_samples("token_delay_us", &token_delay);
    print_samples("token_gap_us", &token_gap);
    puts("}");
}

/* ---- */

static void read_arguments(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (!strcmp(name, "--stream")) {
            ask.stream = true;
            continue;
        }
        if (++i == argc) die("%s needs a value", name);
        const char *value = argv[i];
        if (!strcmp(name, "--port")) ask.port = atoi(value);
        else if (!strcmp(name, "--path")) ask.path = value;
        else if (!strcmp(name, "--body")) ask.body = value;
        else if (!strcmp(name, "--key")) ask.key = value;
        else if (!strcmp(name, "--connections")) ask.connections = atoi(value);
        else if (!strcmp(name, "--ramp")) ask.ramp = atof(value);
        else if (!strcmp(name, "--rate")) ask.rate = atof(value);
        else if (!strcmp(name, "--seconds")) ask.seconds = atof(value);
        else if (!strcmp(name, "--requests")) ask.requests = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--chunks")) ask.chunks = (unsigned)atoi(value);
        else if (!strcmp(name, "--grace")) ask.grace = atof(value);
        else die("what is %s?", name);
    }
    if (!ask.port || !ask.body) die("--port and --body are needed");
    if (ask.rate ? ask.seconds <= 0 : ask.connections < 1 || (ask.seconds <= 0 && !ask.requests))
        die("needed: --rate and --seconds, or --connections and one of --seconds and --requests");
}

int main(int argc, char **argv) {
    read_arguments(argc, argv);
    settle_in();
    char *at = reserve(&request, strlen(ask.body) + strlen(ask.path) + (ask.key ? strlen(ask.key) : 0) + 512);
    request.length = (size_t)sprintf(at,
                                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                                     "%s%s%sContent-Length: %zu\r\n\r\n%s",
                                     ask.path, ask.port, ask.key ? "Authorization: Bearer " : "", ask.key ? ask.key : "",
                                     ask.key ? "\r\n" : "", strlen(ask.body), ask.body);
    loop = epoll_create1(EPOLL_CLOEXEC);
    timer = new_timer();
    watch(loop, EPOLL_CTL_ADD, timer, EPOLLIN, &timer);
    arrivals = ask.rate ? (unsigned long)(ask.rate * ask.seconds) : (unsigned long)ask.connections;
    if (!ask.rate && ask.requests && ask.requests < arrivals) arrivals = ask.requests;
    begin = now_ns();
    uint64_t long_enough = begin + (uint64_t)((ask.seconds > 0 ? ask.seconds : 600) * 1e9);
    last_start = long_enough;
    hard_end = long_enough + (uint64_t)(ask.grace * 1e9);
    for (let_arrive(); arrived < arrivals || active;) {
        struct epoll_event events[256];
        int n = epoll_wait(loop, events, 256, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &timer) {
                uint64_t fired;
                if (read(timer, &fired, sizeof fired) < 0 && errno != EAGAIN) die("timer: %s", strerror(errno));
                continue;
            }
            Connection *c = events[i].data.ptr;
            if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) read_from(c);
            if (c->fd >= 0 && events[i].events & EPOLLOUT) {
                c->connecting = false;
                if (c->active) write_request(c);
            }
        }
        let_arrive();
        while (dead) {
            Connection *c = dead;
            dead = c->next;
            free(c->head.at);
            free(c->line.at);
            free(c);
        }
        if (now_ns() >= hard_end) {
            incomplete += (unsigned long)active;
            note_error("%ld answers had not ended", active);
            break;
        }
    }
    report();
    return 0;
}
