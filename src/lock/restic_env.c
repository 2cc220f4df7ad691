/* SPDX-License-Identifier: BSD-2-Clause */
#include "lock/restic_env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/file.h"
#include "util/text.h"

/* Unset and empty are the same to restic. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

/* --- text as restic reads it from files and commands --- */

/* White space beyond ASCII, as UTF-8; restic trims those as well. */
static const char *const wide_spaces[] = {
	"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80",
	"\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84",
	"\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
	"\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9",
	"\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
};

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t space_at_start(const char *text, size_t len)
{
	if (len > 0 && is_space(text[0]))
		return 1;
	for (size_t i = 0; i < sizeof(wide_spaces) / sizeof(char *); i++) {
		size_t n = strlen(wide_spaces[i]);

		if (n <= len && memcmp(text, wide_spaces[i], n) == 0)
			return n;
	}
	return 0;
}

static size_t space_at_end(const char *text, size_t len)
{
	if (len > 0 && is_space(text[len - 1]))
		return 1;
	for (size_t i = 0; i < sizeof(wide_spaces) / sizeof(char *); i++) {
		size_t n = strlen(wide_spaces[i]);

		if (n <= len && memcmp(text + len - n, wide_spaces[i], n) == 0)
			return n;
	}
	return 0;
}

static enum rc add_trimmed(struct buf *out, const char *text, size_t len,
			   struct err *e)
{
	size_t n;

	while ((n = space_at_start(text, len)) > 0) {
		text += n;
		len -= n;
	}
	while ((n = space_at_end(text, len)) > 0)
		len -= n;
	return buf_add(out, text, len, e);
}

static enum rc add_utf8(struct buf *out, uint32_t code, struct err *e)
{
	unsigned char c[4];
	size_t n;

	if (code < 0x80) {
		c[0] = (unsigned char)code;
		n = 1;
	} else if (code < 0x800) {
		c[0] = (unsigned char)(0xc0 | code >> 6);
		c[1] = (unsigned char)(0x80 | (code & 0x3f));
		n = 2;
	} else if (code < 0x10000) {
		c[0] = (unsigned char)(0xe0 | code >> 12);
		c[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
		c[2] = (unsigned char)(0x80 | (code & 0x3f));
		n = 3;
	} else {
		c[0] = (unsigned char)(0xf0 | code >> 18);
		c[1] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
		c[2] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
		c[3] = (unsigned char)(0x80 | (code & 0x3f));
		n = 4;
	}
	return buf_add(out, c, n, e);
}

static enum rc from_utf16(struct buf *out, const unsigned char *in, size_t len,
			  bool big, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i + 1 < len && !rc; i += 2) {
		uint32_t unit = big ? (uint32_t)in[i] << 8 | in[i + 1]
				    : (uint32_t)in[i + 1] << 8 | in[i];
		uint32_t low = 0;

		if (unit >= 0xd800 && unit < 0xdc00 && i + 3 < len)
			low = big ? (uint32_t)in[i + 2] << 8 | in[i + 3]
				  : (uint32_t)in[i + 3] << 8 | in[i + 2];
		if (low >= 0xdc00 && low < 0xe000) {
			unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
			i += 2;
		} else if (unit >= 0xd800 && unit < 0xe000) {
			unit = 0xfffd; /* half of a pair */
		}
		rc = add_utf8(out, unit, e);
	}
	return rc;
}

/* A byte order mark tells the encoding, and is not part of the text. */
static enum rc add_text_file(struct buf *out, const struct buf *file,
			     struct err *e)
{
	const unsigned char *in = (const unsigned char *)buf_text(file);
	size_t len = file->len;
	struct buf wide;
	enum rc rc;

	if (len >= 3 && memcmp(in, "\xef\xbb\xbf", 3) == 0)
		return add_trimmed(out, file->data + 3, len - 3, e);
	if (len < 2 ||
	    (memcmp(in, "\xff\xfe", 2) != 0 && memcmp(in, "\xfe\xff", 2) != 0))
		return add_trimmed(out, buf_text(file), len, e);
	buf_init(&wide, 2 * RESTIC_TEXT_MAX);
	rc = from_utf16(&wide, in + 2, len - 2, in[0] == 0xfe, e);
	if (!rc)
		rc = add_trimmed(out, buf_text(&wide), wide.len, e);
	buf_release(&wide);
	return rc;
}

static enum rc read_all(struct buf *out, int fd, const struct call *call,
			struct err *e)
{
	char part[512];
	enum rc rc;

	for (;;) {
		ssize_t n;

		rc = call_wait(call, fd, NSEC_FOREVER, e);
		if (rc)
			break;
		n = read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = err_sys(e, RC_FAILED, errno, "reading");
		else if (n > 0)
			rc = buf_add(out, part, (size_t)n, e);
		if (n <= 0 || rc)
			break;
	}
	explicit_bzero(part, sizeof(part));
	return rc;
}

/* `name` is the variable that named the file. */
static enum rc read_text_file(struct buf *out, const char *name,
			      const char *path, enum file_kind kind,
			      const struct call *call, struct err *e)
{
	struct buf file;
	enum rc rc;
	int fd;

	rc = file_open_named(&fd, path, kind, e);
	if (rc)
		return err_context(e, rc, "%s", name);
	buf_init(&file, RESTIC_TEXT_MAX);
	/* Of a pipe the other end may take its time. */
	rc = read_all(&file, fd, call, e);
	if (!rc)
		rc = add_text_file(out, &file, e);
	if (rc)
		(void)err_context(e, rc, "%s: %.120s", name, path);
	buf_release(&file);
	close(fd);
	return rc;
}

/* --- where the repository is --- */

static const char *const backends[] = { "azure", "b2", "gs",   "rclone",
					"rest",  "s3", "sftp", "swift" };

/* restic takes these for paths, whatever colon comes later. */
static bool looks_like_path(const char *text)
{
	bool drive = text[0] != '\0' && text[1] == ':' &&
		     (text[2] == '/' || text[2] == '\\');

	return text[0] == '/' || text[0] == '\\' || drive ||
	       strncmp(text, "../", 3) == 0 || strncmp(text, "..\\", 3) == 0;
}

static enum rc place_of(struct buf *path, const char *text, struct err *e)
{
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	char shown[64];

	for (size_t i = 0; i < sizeof(backends) / sizeof(char *); i++)
		if (len == strlen(backends[i]) &&
		    strncmp(text, backends[i], len) == 0)
			return err_set(e, RC_UNSUPPORTED,
				       "restic's %s: repositories cannot be "
				       "locked by this version yet; "
				       "restic:PATH and restic:local:PATH can",
				       backends[i]);
	if (len == 5 && strncmp(text, "local", len) == 0)
		text = colon + 1;
	else if (colon && !looks_like_path(text))
		return err_set(e, RC_MALFORMED,
			       "restic has no backend for '%s'; a path with a "
			       "colon in it is written restic:local:PATH",
			       text_printable(shown, sizeof(shown), text));
	if (text[0] == '\0')
		return err_set(e, RC_MALFORMED, "the path is empty");
	return buf_add(path, text, strlen(text), e);
}

enum rc restic_place(struct buf *path, const char *rest, struct err *e)
{
	const char *name = variable("RESTIC_REPOSITORY");
	const char *file = variable("RESTIC_REPOSITORY_FILE");
	struct buf text;
	enum rc rc;

	/* What was given to us outright wins; the variables are for restic. */
	if (rest[0])
		return place_of(path, rest, e);
	if (name && file)
		return err_set(e, RC_MALFORMED,
			       "RESTIC_REPOSITORY and RESTIC_REPOSITORY_FILE "
			       "are both set; restic takes only one");
	if (name)
		return place_of(path, name, e);
	if (!file)
		return err_set(e, RC_MALFORMED,
			       "which repository? Say restic:PATH, or set "
			       "RESTIC_REPOSITORY or RESTIC_REPOSITORY_FILE");
	buf_init(&text, RESTIC_TEXT_MAX);
	rc = read_text_file(&text, "RESTIC_REPOSITORY_FILE", file, FILE_REGULAR,
			    &CALL_UNLIMITED, e);
	if (!rc && text.len == 0)
		rc = err_set(e, RC_MALFORMED,
			     "RESTIC_REPOSITORY_FILE: %.120s is empty", file);
	if (!rc)
		rc = place_of(path, buf_text(&text), e);
	buf_release(&text);
	return rc;
}

/* --- a command line without a shell --- */

struct splitter {
	char quote; /* the one we are in; 0: none */
	char last;  /* the letter before; a quote that was obeyed is none */
};

/* Does c end a word (and is dropped)? */
static bool splits(struct splitter *s, char c)
{
	bool escaped = s->last == '\\';

	if (!escaped && s->quote && c == s->quote) {
		s->quote = '\0';
		return true;
	}
	if (!escaped && !s->quote && (c == '"' || c == '\'')) {
		s->quote = c;
		return true;
	}
	s->last = c;
	return !s->quote && (c == '\\' || is_space(c));
}

enum rc restic_split(char ***words, const char *line, struct err *e)
{
	/* At most every second letter begins a word. */
	size_t len = strlen(line), most = len / 2 + 2;
	char **list = calloc(1, most * sizeof(*list) + len + 1);
	struct splitter s = { 0 };
	bool within = false;
	size_t count = 0;
	char *to;

	if (!list)
		return err_set(e, RC_RETRY, "out of memory");
	to = (char *)(list + most);
	for (size_t i = 0; i < len; i++) {
		if (splits(&s, line[i])) {
			to += within; /* calloc left the NUL there */
			within = false;
			continue;
		}
		if (!within)
			list[count++] = to;
		within = true;
		*to++ = line[i];
	}
	if (s.quote || count == 0) {
		free(list);
		return s.quote ? err_set(e, RC_MALFORMED,
					 "a %c is opened and not closed", s.quote)
			       : err_set(e, RC_MALFORMED, "the command is empty");
	}
	*words = list;
	return RC_OK;
}

/* --- the password --- */

/* Its standard input is empty, as restic has it: ours may be the user's data. */
static enum rc from_command(struct buf *password, const char *line,
			    program_start_fn *start, const struct call *call,
			    struct err *e)
{
	struct program program;
	char **argv = NULL;
	struct buf out;
	enum rc rc;

	buf_init(&out, RESTIC_TEXT_MAX);
	rc = restic_split(&argv, line, e);
	if (!rc)
		rc = start(&program, argv, e);
	if (!rc)
		rc = program_finish(&program, &out, call, e);
	if (!rc)
		rc = add_trimmed(password, buf_text(&out), out.len, e);
	free(argv);
	buf_release(&out);
	return rc ? err_context(e, rc, "RESTIC_PASSWORD_COMMAND") : RC_OK;
}

bool restic_runs_password_command(void)
{
	return variable("RESTIC_PASSWORD_COMMAND") != NULL;
}

enum rc restic_password(struct buf *password, bool none, program_start_fn *start,
			const struct call *call, struct err *e)
{
	const char *text = variable("RESTIC_PASSWORD");
	const char *file = variable("RESTIC_PASSWORD_FILE");
	const char *command = variable("RESTIC_PASSWORD_COMMAND");
	enum rc rc;

	if (none && (text || file || command))
		return err_set(e, RC_MALFORMED,
			       "--insecure-no-password was given, and %s is "
			       "set as well",
			       command ? "RESTIC_PASSWORD_COMMAND"
			       : file  ? "RESTIC_PASSWORD_FILE"
				       : "RESTIC_PASSWORD");
	if (none)
		return RC_OK;
	if (command && file)
		return err_set(e, RC_MALFORMED,
			       "RESTIC_PASSWORD_COMMAND and "
			       "RESTIC_PASSWORD_FILE are both set; restic "
			       "takes only one");
	if (!command && !file && !text)
		return err_set(e, RC_ABSENT,
			       "no password: set RESTIC_PASSWORD_FILE, "
			       "RESTIC_PASSWORD_COMMAND or RESTIC_PASSWORD");
	if (command)
		rc = from_command(password, command,
				  start ? start : program_start, call, e);
	else if (file)
		rc = read_text_file(password, "RESTIC_PASSWORD_FILE", file,
				    FILE_OR_PIPE, call, e);
	else
		rc = buf_add(password, text, strlen(text), e);
	if (!rc && password->len == 0)
		rc = err_set(e, RC_DENIED,
			     "%s gives an empty password; a repository without "
			     "one needs --insecure-no-password",
			     command ? "RESTIC_PASSWORD_COMMAND"
				     : "RESTIC_PASSWORD_FILE");
	return rc;
}
