/* livervlm text-encoder fetch: for sites with internet; the others copy the three files into a folder. */
#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "cli/engine/text_encoder.h"
#include "cli/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#define FILES 3
#define FILE_BYTES_MAX ((curl_off_t)2 << 30) /* allow: libcurl's own type */

static const char *const names[FILES] = {"config.json", "vocab.txt", "model.safetensors"};

/* A revision of a repository and what its files must be. */
static const struct encoder {
  const char *name;
  const char *repository;
  const char *revision;
  const char *sha256[FILES];
} encoders[] = {
    {"bert-base-uncased",
     "google-bert/bert-base-uncased",
     "86b5e0934494bd15c9632b12f734a8a67f723594",
     {"7160e1553ad2ca51d8c1cb066be533db31826e12d173824c1bb0cb1a4f187d20",
      "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
      "68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3"}},
    {"all-MiniLM-L6-v2",
     "sentence-transformers/all-MiniLM-L6-v2",
     "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
     {"953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
      "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
      "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"}},
};

struct download {
  int fd;
  const char *path;
  uint64_t bytes;
  struct lvn_error *err;
  bool failed;
};

static size_t on_data(char *data, size_t size, size_t count, void *user) {
  struct download *download = user;
  size_t bytes = size * count;
  download->bytes += bytes;
  if (download->bytes > (uint64_t)FILE_BYTES_MAX) {
    (void)lvn_error_set(download->err, LVN_ERROR_DATA, "the file is larger than any text encoder");
    download->failed = true;
  } else {
    download->failed = !lvn_file_write_all(download->fd, data, bytes, download->path, download->err);
  }
  return download->failed ? 0 : bytes;
}

static bool perform(const char *url, struct download *download) {
  char reason[CURL_ERROR_SIZE] = "";
  CURL *curl = curl_easy_init();
  if (curl == NULL) {
    return lvn_error_set(download->err, LVN_ERROR_NOMEM, "cannot start a transfer");
  }
  (void)curl_easy_setopt(curl, CURLOPT_URL, url);
  (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
  (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http,file");
  (void)curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
  (void)curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
  (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1000L);
  (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
  (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
  (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, download);
  CURLcode code = curl_easy_perform(curl);
  curl_easy_cleanup(curl);
  if (code != CURLE_OK && !download->failed) {
    return lvn_error_set(download->err, code == CURLE_OPERATION_TIMEDOUT ? LVN_ERROR_TIMEOUT : LVN_ERROR_IO,
                         "cannot fetch '%.200s': %.150s", url, reason[0] != '\0' ? reason : curl_easy_strerror(code));
  }
  return !download->failed;
}

static bool check(const char *path, const char *expected, bool *ret_same, struct lvn_error *err) {
  uint8_t sha256[LVN_SHA256_BYTES];
  char digest[LVN_SHA256_TEXT_BYTES];
  if (!lvn_sha256_of_file(path, sha256, err)) {
    return false;
  }
  lvn_sha256_to_text(sha256, digest);
  *ret_same = strcmp(digest, expected) == 0;
  return true;
}

/* Into FILE.part, compared, renamed: a file under its own name is the right one. */
static bool fetch_file(const char *url, const char *path, const char *sha256, struct lvn_error *err) {
  bool same = false;
  if (lvn_file_exists(path)) {
    if (!check(path, sha256, &same, err)) {
      return false;
    }
    return same || lvn_error_set(err, LVN_ERROR_CONFLICT, "'%.300s' is another file already", path);
  }
  LVN_AUTOFREE char *part = lvn_format(err, "%s.part", path);
  if (part == NULL) {
    return false;
  }
  int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot write '%.300s'", part);
  }
  struct download download = {.fd = fd, .path = part, .err = err};
  bool good = perform(url, &download) && check(part, sha256, &same, err);
  if (good && !same) {
    good = lvn_error_set(err, LVN_ERROR_DATA, "what '%.200s' sent is not the pinned file: refused", url);
  }
  if (!good) {
    (void)close(fd);
    (void)unlink(part);
    return false;
  }
  return lvn_file_commit(fd, part, path, err);
}

static bool fetch(const struct encoder *encoder, const char *base, const char *folder, struct lvn_error *err) {
  bool good = lvn_file_make_folder(folder, 0755, err);
  if (good && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "cannot start libcurl");
  }
  for (size_t i = 0; good && i < FILES; i++) {
    char path[LVN_PATH_BYTES];
    LVN_AUTOFREE char *url =
        lvn_format(err, "%s/%s/resolve/%s/%s", base, encoder->repository, encoder->revision, names[i]);
    good = url != NULL && lvn_path_join(path, folder, names[i], err);
    if (good) {
      (void)printf("%s\n", url);
      (void)fflush(stdout);
      good = fetch_file(url, path, encoder->sha256[i], err);
    }
  }
  curl_global_cleanup();
  return good;
}

int lvn_cli_text_encoder_fetch(int argc, char **argv) {
  const char *folder = NULL;
  const char *name = "bert-base-uncased";
  const char *base = "https://huggingface.co";
  struct lvn_error err = {0};
  const struct lvn_option options[] = {
      {"output", "DIR", LVN_OPTION_TEXT, &folder, "folder for config.json, vocab.txt and model.safetensors", true, 0,
       0},
      {"encoder", "bert-base-uncased|all-MiniLM-L6-v2", LVN_OPTION_CHOICE, &name, "which one (bert-base-uncased)",
       false, 0, 0},
      {"mirror", "URL", LVN_OPTION_TEXT, &base, "a server that is laid out like https://huggingface.co (default)",
       false, 0, 0},
  };
  const struct lvn_usage usage = {.command = "text-encoder fetch",
                                  .summary = "Fetch a text encoder at a pinned revision; a file whose SHA-256 is "
                                             "another than the one in this program is refused.",
                                  .examples = "livervlm text-encoder fetch --output encoder",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  for (size_t i = 0; i < sizeof encoders / sizeof encoders[0]; i++) {
    if (strcmp(encoders[i].name, name) == 0) {
      return fetch(&encoders[i], base, folder, &err) ? LVN_EXIT_OK : lvn_options_refuse(usage.command, &err);
    }
  }
  return lvn_options_complain(&usage, "unknown encoder");
}
