/* SPDX-License-Identifier: BSD-2-Clause */
#include "util/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool text_copy(char *out, size_t size, const char *in)
{
	size_t len = strnlen(in, size - 1);

	memcpy(out, in, len);
	out[len] = '\0';
	return in[len] == '\0';
}

/* --- hex and random --- */

void hex_encode(char *out, const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *in = bytes;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[2 * len] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hex_decode(void *out, size_t len, const char *hex)
{
	unsigned char *to = out;

	if (strnlen(hex, 2 * len + 1) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(hex[2 * i]);
		int low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

void random_bytes(void *out, size_t len)
{
	unsigned char *to = out;

	while (len > 0) {
		ssize_t n = getrandom(to, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort();
		to += n;
		len -= (size_t)n;
	}
}

void uuid_make(char out[UUID_TEXT_SIZE])
{
	unsigned char raw[16];
	char hex[2 * sizeof(raw) + 1];
	size_t to = 0;

	random_bytes(raw, sizeof(raw));
	raw[6] = (unsigned char)((raw[6] & 0x0f) | 0x40); /* version 4 */
	raw[8] = (unsigned char)((raw[8] & 0x3f) | 0x80); /* RFC variant */
	hex_encode(hex, raw, sizeof(raw));
	for (size_t i = 0; i < 2 * sizeof(raw); i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			out[to++] = '-';
		out[to++] = hex[i];
	}
	out[to] = '\0';
}

nsec random_span(nsec low, nsec high)
{
	uint64_t choices, drawn, fair;

	if (high <= low)
		return low;
	choices = (uint64_t)(high - low) + 1;
	fair = UINT64_MAX - UINT64_MAX % choices;
	do
		random_bytes(&drawn, sizeof(drawn));
	while (drawn >= fair);
	return low + (nsec)(drawn % choices);
}

/* --- wall-clock text --- */

#define SECONDS_A_DAY ((int64_t)86400)

struct date {
	int64_t year;
	int month, day; /* from 1 */
};

/*
 * Calendar arithmetic of our own: gmtime_r reads /etc/localtime at its first
 * call. Years are counted from March, so that the leap day is the last.
 */
static int64_t days_of(struct date d)
{
	int64_t year = d.month > 2 ? d.year : d.year - 1;
	int64_t month = d.month > 2 ? d.month - 3 : d.month + 9;
	int64_t day_of_year = (153 * month + 2) / 5 + d.day - 1;

	/* 719468 days lie between 0000-03-01 and 1970-01-01. */
	return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year -
	       719468;
}

static struct date date_of(int64_t days)
{
	int64_t n = days + 719468;
	int64_t era = n / 146097; /* days of 400 years */
	int64_t in_era = n % 146097;
	int64_t year = (in_era - in_era / 1460 + in_era / 36524 -
			in_era / 146096) /
		       365;
	int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * in_year + 2) / 153;

	return (struct date){
		.year = era * 400 + year + (month >= 10 ? 1 : 0),
		.month = (int)(month < 10 ? month + 3 : month - 9),
		.day = (int)(in_year - (153 * month + 2) / 5 + 1),
	};
}

static void show_time(char *out, size_t size, struct wall t, bool msec)
{
	int64_t s = t.ns / NSEC_PER_SEC;
	int64_t ns = t.ns % NSEC_PER_SEC;
	char fraction[8] = "";
	struct date d;
	int in_day;

	if (ns < 0) {
		ns += NSEC_PER_SEC;
		s--;
	}
	/* 1677 to 2262 is what 64 bits of nanoseconds hold. */
	in_day = (int)(s % SECONDS_A_DAY);
	if (in_day < 0)
		in_day += (int)SECONDS_A_DAY;
	d = date_of((s - in_day) / SECONDS_A_DAY);
	if (msec)
		(void)snprintf(fraction, sizeof(fraction), ".%03d",
			       (int)(ns / NSEC_PER_MSEC));
	(void)snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d%sZ",
		       (int)d.year, d.month, d.day, in_day / 3600,
		       in_day / 60 % 60, in_day % 60, fraction);
}

void wall_show(char *out, size_t size, struct wall t)
{
	show_time(out, size, t, false);
}

void wall_show_msec(char *out, size_t size, struct wall t)
{
	show_time(out, size, t, true);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly `count` digits from *text; then `behind`, unless that is NUL. */
static bool take_digits(const char **text, int count, char behind, int *value)
{
	*value = 0;
	for (; count > 0; count--, (*text)++) {
		if (!is_digit(**text))
			return false;
		*value = *value * 10 + (**text - '0');
	}
	if (behind == '\0')
		return true;
	return *(*text)++ == behind;
}

static int days_in_month(int year, int month)
{
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (month == 2)
		return leap ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* ".123" as nanoseconds; nothing there is 0. */
static bool take_fraction(const char **text, int64_t *ns)
{
	int64_t worth = NSEC_PER_SEC / 10;

	*ns = 0;
	if (**text != '.')
		return true;
	if (!is_digit(*++(*text)))
		return false;
	for (; is_digit(**text); (*text)++, worth /= 10) {
		if (worth == 0)
			return false;
		*ns += (**text - '0') * worth;
	}
	return true;
}

/* "Z" or "+hh:mm", then the end; seconds east of UTC. */
static bool take_zone(const char *text, int *east)
{
	char sign = *text++;
	int hours, minutes;

	*east = 0;
	if (sign == 'Z')
		return *text == '\0';
	if (sign != '+' && sign != '-')
		return false;
	if (!take_digits(&text, 2, ':', &hours) ||
	    !take_digits(&text, 2, '\0', &minutes) || *text != '\0' ||
	    hours > 23 || minutes > 59)
		return false;
	*east = (hours * 60 + minutes) * (sign == '-' ? -60 : 60);
	return true;
}

bool wall_parse(struct wall *t, const char *text)
{
	int year, month, day, hour, minute, second, east;
	int64_t s, ns;

	if (!take_digits(&text, 4, '-', &year) ||
	    !take_digits(&text, 2, '-', &month) ||
	    !take_digits(&text, 2, 'T', &day) ||
	    !take_digits(&text, 2, ':', &hour) ||
	    !take_digits(&text, 2, ':', &minute) ||
	    !take_digits(&text, 2, '\0', &second) ||
	    !take_fraction(&text, &ns) || !take_zone(text, &east))
		return false;
	if (month < 1 || month > 12 || day < 1 ||
	    day > days_in_month(year, month) || hour > 23 || minute > 59 ||
	    second > 60) /* 60: a leap second */
		return false;
	/* What 64 bits of nanoseconds hold, with room for any zone. */
	if (year < 1678 || year > 2261)
		return false;
	s = days_of((struct date){ year, month, day }) * SECONDS_A_DAY +
	    hour * 3600 + minute * 60 + second - east;
	t->ns = s * NSEC_PER_SEC + ns;
	return true;
}

/* --- foreign text --- */

/* How a first byte begins: length, its bits, and the least code that needs
 * that many bytes. */
static size_t utf8_first(unsigned char c, uint32_t *bits, uint32_t *least)
{
	if (c < 0x80) {
		*bits = c;
		*least = 0;
		return 1;
	}
	if ((c & 0xe0) == 0xc0) {
		*bits = c & 0x1f;
		*least = 0x80;
		return 2;
	}
	if ((c & 0xf0) == 0xe0) {
		*bits = c & 0x0f;
		*least = 0x800;
		return 3;
	}
	if ((c & 0xf8) == 0xf0) {
		*bits = c & 0x07;
		*least = 0x10000;
		return 4;
	}
	return 0;
}

size_t utf8_next(const char *in, uint32_t *code)
{
	uint32_t bits = 0, least = 0;
	size_t len;

	if (*in == '\0')
		return 0;
	len = utf8_first((unsigned char)*in, &bits, &least);
	for (size_t i = 1; i < len; i++) {
		unsigned char c = (unsigned char)in[i];

		if ((c & 0xc0) != 0x80)
			return 0;
		bits = bits << 6 | (c & 0x3f);
	}
	if (len == 0 || bits < least || bits > 0x10ffff ||
	    (bits >= 0xd800 && bits <= 0xdfff))
		return 0;
	*code = bits;
	return len;
}

bool utf8_is_printable(uint32_t code)
{
	return code >= 0x20 && (code < 0x7f || code > 0x9f) && code != 0x061c &&
	       code != 0xfeff && (code < 0x200b || code > 0x200f) &&
	       (code < 0x2028 || code > 0x202e) &&
	       (code < 0x2060 || code > 0x206f) &&
	       (code < 0xfff9 || code > 0xfffb) &&
	       (code < 0xe0000 || code > 0xe0fff);
}

/* As much of `in` as fits, printable. Returns what did not; *len grows. */
static const char *show(char *out, size_t size, size_t *len, const char *in)
{
	size_t room = size - 1 - *len;
	char *to = out + *len;

	while (*in != '\0') {
		uint32_t code = 0;
		size_t step = utf8_next(in, &code);

		if (step > 0 && utf8_is_printable(code)) {
			if (step > room)
				break;
			to = mempcpy(to, in, step);
			room -= step;
			in += step;
			continue;
		}
		if (room < 4)
			break;
		to = mempcpy(to, "\\x", 2);
		hex_encode(to, in++, 1);
		to += 2;
		room -= 4;
	}
	*to = '\0';
	*len = (size_t)(to - out);
	return in;
}

char *text_printable(char *out, size_t size, const char *in)
{
	size_t len = 0;

	(void)show(out, size, &len, in);
	return out;
}

/* --- strings built in a fixed room --- */

struct text text_begin(char *out, size_t size)
{
	out[0] = '\0';
	return (struct text){ .out = out, .size = size };
}

/* End with `mark`, at `end` at the latest. */
static void mark_cut(struct text *t, size_t end, const char *mark)
{
	size_t len = strlen(mark);
	size_t keep = end > len ? end - len : 0;

	if (keep > t->len)
		keep = t->len;
	/* Not behind the first bytes of a character. */
	while (keep > 0 && keep < t->len &&
	       ((unsigned char)t->out[keep] & 0xc0) == 0x80)
		keep--;
	t->len = keep;
	if (len <= end)
		t->len = (size_t)((char *)mempcpy(t->out + keep, mark, len) -
				  t->out);
	t->out[t->len] = '\0';
}

/* The piece behind t->len was wanted to be `wanted` bytes; those that fit are
 * there, and a NUL. */
static void take_piece(struct text *t, size_t wanted)
{
	size_t room = t->size - 1 - t->len;

	t->cut = wanted > room;
	t->len += t->cut ? room : wanted;
	if (t->cut)
		mark_cut(t, t->size - 1, "...");
}

void text_add(struct text *t, const char *in)
{
	size_t len = strlen(in);

	if (t->cut)
		return;
	(void)text_copy(t->out + t->len, t->size - t->len, in);
	take_piece(t, len);
}

void text_addf(struct text *t, const char *format, ...)
{
	va_list args;
	int wanted;

	if (t->cut)
		return;
	va_start(args, format);
	wanted = vsnprintf(t->out + t->len, t->size - t->len, format, args);
	va_end(args);
	if (wanted < 0) /* not even part of it can be believed */
		t->out[t->len] = '\0';
	else
		take_piece(t, (size_t)wanted);
}

void text_add_printable(struct text *t, const char *in)
{
	if (t->cut)
		return;
	t->cut = *show(t->out, t->size, &t->len, in) != '\0';
	if (t->cut)
		mark_cut(t, t->size - 1, "...");
}

void text_add_part(struct text *t, const char *in, size_t most)
{
	size_t room = t->size - 1 - t->len;
	size_t end = t->len + most;

	if (t->cut)
		return;
	if (most >= room) {
		text_add_printable(t, in);
		return;
	}
	if (*show(t->out, end + 1, &t->len, in) != '\0')
		mark_cut(t, end, "~");
}
