/* livervlm fetch: asked of the running pipeline. */
#include "cli/operate.h"

#include <stdio.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/options.h"

int lvn_cli_fetch(int argc, char **argv) {
  const char *config_path = LVN_OPERATE_CONFIG;
  const char *from = NULL;
  int first = 0;
  struct lvn_error err = {0};
  LVN_AUTOJSON json_t *answer = NULL;
  const struct lvn_option options[] = {
      {"config", "FILE", LVN_OPTION_TEXT, &config_path, "the node's configuration (" LVN_OPERATE_CONFIG ")", false, 0,
       0},
      {"from", "PEER", LVN_OPTION_TEXT, &from, "whom to ask (the query_from of the study's sender)", false, 0, 0}};
  const struct lvn_usage usage = {.command = "fetch",
                                  .arguments = "STUDY",
                                  .summary = "Ask an archive for the series of a study that are not here: a study of "
                                             "`livervlm studies`, or any by its study instance UID.",
                                  .examples =
                                      "livervlm fetch 7d4e69216e15                 at the archive of its sender\n"
                                      "livervlm fetch 1.2.840.113619.2.55.3 --from ARCHIVE",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0],
                                  .arguments_min = 1,
                                  .arguments_max = 1};
  const int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (!lvn_operate_ask(config_path,
                       json_pack("{s:s, s:s, s:s*}", "command", "fetch", "study", argv[first], "from", from), &answer,
                       &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  (void)printf("asking %s; livervlm studies says what came of it\n",
               json_string_value(json_object_get(answer, "from")));
  return LVN_EXIT_OK;
}
