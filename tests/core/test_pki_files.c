/* The key set on disk: there and back, never over something, never readable by others. */
#include "core/pki_files.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct pki set;
static char base[64], dir[80];

static void make_set(void)
{
	struct pki_options o = {.now_s = 1750000000};

	ck_assert_int_eq(pki_make(&o, &set, NULL), 0);
}

static void free_set(void)
{
	pki_fini(&set);
}

static void setup(void)
{
	strcpy(base, "/tmp/quicrig-pki-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(dir, sizeof(dir), "%s/keys", base);
}

static void empty(const char *path)
{
	DIR *d = opendir(path);
	char name[PATH_MAX];
	struct dirent *ent;

	while (d && (ent = readdir(d))) {
		if (ent->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, ent->d_name);
		unlink(name);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static void teardown(void)
{
	empty(dir);
	empty(base);
}

static const char *in_dir(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static unsigned count(void)
{
	DIR *d = opendir(dir);
	struct dirent *ent;
	unsigned n = 0;

	while ((ent = readdir(d)))
		n += ent->d_name[0] != '.';
	closedir(d);
	return n;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");

	fputs(text, f);
	fclose(f);
}

START_TEST(there_and_back)
{
	struct pki back;
	struct err e = {0};
	struct stat st;

	ck_assert_msg(pki_files_write(dir, &set, &e) == 0, "%s", e.text);
	ck_assert_int_eq(stat(dir, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_uint_eq(count(), 10);
	ck_assert_int_eq(stat(in_dir("store.key"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(st.st_size, 65);
	ck_assert_msg(pki_files_read(dir, &back, &e) == 0, "%s", e.text);
	ck_assert_str_eq(back.server_ca.cert, set.server_ca.cert);
	ck_assert_str_eq(back.server.cert, set.server.cert);
	ck_assert_str_eq(back.server.key, set.server.key);
	ck_assert_str_eq(back.device_ca.cert, set.device_ca.cert);
	ck_assert_str_eq(back.fleet.cert, set.fleet.cert);
	ck_assert_str_eq(back.fleet.key, set.fleet.key);
	ck_assert_str_eq(back.token_key, set.token_key);
	ck_assert_str_eq(back.token_public, set.token_public);
	ck_assert_int_eq(memcmp(back.reset_key, set.reset_key, 32), 0);
	ck_assert_int_eq(memcmp(back.store_key, set.store_key, 32), 0);
	ck_assert_ptr_null(back.server_ca.key); /* not kept */
	pki_fini(&back);
}
END_TEST

START_TEST(nothing_is_overwritten)
{
	struct err e = {0};
	char text[PATH_MAX + 300];

	ck_assert_int_eq(mkdir(dir, 0700), 0);
	put("token-key.pem", "mine");
	ck_assert_int_eq(pki_files_write(dir, &set, &e), ERR_EXISTS);
	ck_assert_ptr_nonnull(strstr(err_format(&e, text, sizeof(text)), "token-key.pem: is there already"));
	ck_assert_uint_eq(count(), 1); /* all or none */
	unlink(in_dir("token-key.pem"));
	/* a link that leads nowhere is something too */
	ck_assert_int_eq(symlink("/nowhere", in_dir("store.key")), 0);
	memset(&e, 0, sizeof(e));
	ck_assert_int_eq(pki_files_write(dir, &set, &e), ERR_EXISTS);
	ck_assert_uint_eq(count(), 1);
}
END_TEST

START_TEST(places_that_are_none)
{
	struct pki part = {.server_ca = {.cert = set.server_ca.cert}};
	struct err e = {0};
	struct pki back;

	snprintf(dir, sizeof(dir), "%s/a/b", base);
	ck_assert_int_eq(pki_files_write(dir, &set, &e), ERR_NOTFOUND);
	ck_assert_str_eq(e.source, dir);
	ck_assert_int_eq(pki_files_read(dir, &back, NULL), ERR_NOTFOUND);
	/* a file where the folder should be */
	snprintf(dir, sizeof(dir), "%s/file", base);
	fclose(fopen(dir, "w"));
	memset(&e, 0, sizeof(e));
	ck_assert_int_eq(pki_files_write(dir, &set, &e), ERR_IO);
	ck_assert_ptr_nonnull(strstr(e.text, "Not a directory"));
	unlink(dir);
	/* a set with holes leaves nothing behind */
	snprintf(dir, sizeof(dir), "%s/keys", base);
	ck_assert_int_eq(pki_files_write(dir, &part, &e), ERR_INVALID);
	ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(secrets_that_others_may_read)
{
	static const char *const secrets[] = {"server-key.pem", "fleet-key.pem", "token-key.pem", "reset.key", "store.key"};
	static const mode_t modes[] = {0640, 0604, 0620, 0601};

	ck_assert_int_eq(pki_files_write(dir, &set, NULL), 0);
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
			struct pki back;
			struct err e = {0};

			ck_assert_int_eq(chmod(in_dir(secrets[i]), modes[m]), 0);
			ck_assert_int_eq(pki_files_read(dir, &back, &e), ERR_ENVIRONMENT);
			ck_assert_ptr_nonnull(strstr(e.source, secrets[i]));
			ck_assert_ptr_nonnull(strstr(e.text, "chmod 600"));
			ck_assert_ptr_null(back.server.cert);
		}
		ck_assert_int_eq(chmod(in_dir(secrets[i]), 0400), 0);
	}
	ck_assert_int_eq(chmod(in_dir("server.pem"), 0644), 0); /* no secret */
	{
		struct pki back;

		ck_assert_int_eq(pki_files_read(dir, &back, NULL), 0);
		pki_fini(&back);
	}
}
END_TEST

START_TEST(files_that_are_damaged)
{
	static const struct {
		const char *name, *text;
		int code;
		const char *says, *source;
	} rows[] = {
		{"store.key", "SECRET", ERR_PARSE, "is not 64 hex digits", "store.key"},
		{"reset.key", "", ERR_PARSE, "is not 64 hex digits", "reset.key"},
		{"server.pem", "", ERR_PARSE, "is not PEM", "server.pem"},
		{"server.pem", "-----BEGIN CERTIFICATE-----\n", ERR_PARSE, "server.pem cannot be read as a certificate", ""},
		{"token-key.pem", "-----BEGIN SECRET-----\n", ERR_PARSE,
		 "token-key.pem cannot be read as an unencrypted private key", ""},
		{"token-public.pem", "-----BEGIN X-----\n", ERR_PARSE, "token-public.pem cannot be read as a public key", ""},
	};
	struct pki back;
	char *big;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};

		ck_assert_int_eq(pki_files_write(dir, &set, NULL), 0);
		put(rows[i].name, rows[i].text);
		ck_assert_int_eq(pki_files_read(dir, &back, &e), rows[i].code);
		ck_assert_msg(strstr(e.text, rows[i].says) != NULL, "%s", e.text);
		ck_assert_ptr_nonnull(strstr(e.source, rows[i].source));
		ck_assert_ptr_null(strstr(e.text, "SECRET"));
		empty(dir);
	}
	/* missing, and far too large */
	ck_assert_int_eq(pki_files_write(dir, &set, NULL), 0);
	unlink(in_dir("fleet.pem"));
	ck_assert_int_eq(pki_files_read(dir, &back, NULL), ERR_NOTFOUND);
	big = malloc(70001);
	memset(big, 'x', 70000);
	big[70000] = '\0';
	put("fleet.pem", big);
	free(big);
	ck_assert_int_eq(pki_files_read(dir, &back, NULL), ERR_LIMIT);
	unlink(in_dir("fleet.pem"));
	ck_assert_int_eq(mkdir(in_dir("fleet.pem"), 0700), 0);
	ck_assert_int_eq(pki_files_read(dir, &back, NULL), ERR_IO);
	rmdir(in_dir("fleet.pem"));
	/* nobody ever writes to it: refused, not waited for */
	ck_assert_int_eq(mkfifo(in_dir("fleet.pem"), 0600), 0);
	ck_assert_int_eq(pki_files_read(dir, &back, NULL), ERR_IO);
	unlink(in_dir("fleet.pem"));
}
END_TEST

START_TEST(a_certificate_with_another_key)
{
	static const char *const swapped[][2] = {{"server-key.pem", "server.pem and server-key.pem"},
						 {"fleet-key.pem", "fleet.pem and fleet-key.pem"},
						 {"token-key.pem", "token-public.pem and token-key.pem"}};
	struct pki_options o = {.now_s = 1750000000};
	struct pki other, back;

	ck_assert_int_eq(pki_make(&o, &other, NULL), 0);
	for (size_t i = 0; i < sizeof(swapped) / sizeof(swapped[0]); i++) {
		struct err e = {0};

		ck_assert_int_eq(pki_files_write(dir, &set, NULL), 0);
		put(swapped[i][0], i == 0 ? other.server.key : i == 1 ? other.fleet.key : other.token_key);
		ck_assert_int_eq(pki_files_read(dir, &back, &e), ERR_PARSE);
		ck_assert_msg(strstr(e.text, swapped[i][1]) != NULL, "%s", e.text);
		ck_assert_ptr_nonnull(strstr(e.text, "do not belong together"));
		empty(dir);
	}
	pki_fini(&other);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pki_files");
	TCase *t = tcase_create("pki_files");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, make_set, free_set);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, there_and_back);
	tcase_add_test(t, nothing_is_overwritten);
	tcase_add_test(t, places_that_are_none);
	tcase_add_test(t, secrets_that_others_may_read);
	tcase_add_test(t, files_that_are_damaged);
	tcase_add_test(t, a_certificate_with_another_key);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
