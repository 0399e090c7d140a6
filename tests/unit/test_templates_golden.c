/*
 * test_templates_golden.c: real chat templates against what the reference printed for them.
 *
 * golden_templates.json: templates x conversations x add_generation_prompt, a text or an error
 * each; where the reference fails, so must we, with the same message inside ours.
 * jinjacpp_test_chat_template.json: cases of another engine's tests. One TAP line a template, with
 * the number of cases; a template that is refused as a whole is named, and at most 2 % may be.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "reference.h"
#include "text/jinja/template.h"

static int n_tests, n_failed, n_refused, n_cases;

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static void report(bool ok, const char *name, int cases)
{
    n_tests++;
    n_failed += !ok;
    printf("%sok %d - %s (%d cases)\n", ok ? "" : "not ", n_tests, name, cases);
}

static void copy_into(cJSON *into, const cJSON *from)
{
    for (const cJSON *c = from ? from->child : NULL; c; c = c->next) {
        cJSON_AddItemToObject(into, c->string, cJSON_Duplicate(c, 1));
    }
}

/* Whether the render of variables is want, or, with want null, an error that holds message. */
static bool check(const zoo_template *t, const cJSON *variables, const zoo_clock *now,
                  const char *want, const char *message)
{
    zoo_error err;
    char *text = NULL;
    size_t n = 0;
    char *json = cJSON_PrintUnformatted(variables);
    zoo_status status = zoo_template_render_json(t, json, strlen(json), now, &text, &n, &err);
    bool ok = want ? status == ZOO_OK && n == strlen(want) && memcmp(text, want, n) == 0
                   : status != ZOO_OK && strstr(err.text, message) != NULL;
    if (!ok) {
        printf("# want %.200s\n# got  %.200s\n", want ? want : message,
               status == ZOO_OK ? text : err.text);
    }
    free(text);
    free(json);
    n_cases++;
    return ok;
}

static zoo_template *compile(const char *source, const char *name)
{
    zoo_template *t = NULL;
    zoo_error err;
    if (zoo_template_compile(source, strlen(source), name, NULL, &t, &err) != ZOO_OK) {
        n_refused++;
        printf("# refused: %s\n", err.text);
    }
    return t;
}

static void golden_template(const cJSON *entry, const cJSON *scenarios, const zoo_clock *now)
{
    const char *name = text_of(entry, "name");
    zoo_template *t = compile(text_of(entry, "template"), name);
    bool ok = true;
    int cases = 0;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(entry, "cases");
    for (const cJSON *c = list ? list->child : NULL; t && c; c = c->next, cases++) {
        cJSON *variables = cJSON_CreateObject();
        cJSON_AddStringToObject(variables, "bos_token", "<BOS>");
        cJSON_AddStringToObject(variables, "eos_token", "<EOS>");
        cJSON_AddStringToObject(variables, "unk_token", "<UNK>");
        cJSON_AddStringToObject(variables, "pad_token", "<PAD>");
        copy_into(variables, cJSON_GetObjectItemCaseSensitive(scenarios, text_of(c, "scenario")));
        cJSON_AddBoolToObject(variables, "add_generation_prompt",
                              cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c, "agp")));
        ok &= check(t, variables, now, text_of(c, "output"), text_of(c, "message"));
        cJSON_Delete(variables);
    }
    report(ok, name, cases);
    zoo_template_close(t);
}

static void other_template(const cJSON *entry, const zoo_clock *now)
{
    zoo_template *t = compile(text_of(entry, "template"), entry->string);
    bool ok = true;
    int cases = 0;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(entry, "cases");
    for (const cJSON *c = list ? list->child : NULL; t && c; c = c->next, cases++) {
        cJSON *variables = cJSON_Duplicate(c, 1);
        copy_into(variables, cJSON_GetObjectItemCaseSensitive(entry, "special_tokens"));
        ok &= check(t, variables, now, text_of(c, "expected"), NULL);
        cJSON_Delete(variables);
    }
    report(ok, entry->string, cases);
    zoo_template_close(t);
}

static cJSON *load(const char *file)
{
    char path[4096];
    cJSON *json = NULL;
    zoo_error err;
    (void)snprintf(path, sizeof path, "%s/chat-templates/%s", test_reference(), file);
    if (zoo_json_read(path, (size_t)64 << 20, &json, &err) != ZOO_OK) {
        printf("ok %d - %s # SKIP %s\n", ++n_tests, file, err.text);
    }
    return json;
}

static void run_golden(void)
{
    cJSON *json = load("golden_templates.json");
    zoo_clock now;
    int before = n_refused, n = 0;
    if (!json) {
        return;
    }
    const cJSON *scenarios = cJSON_GetObjectItemCaseSensitive(json, "scenarios");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "templates");
    bool has_clock = zoo_clock_parse(text_of(json, "now"), &now);
    for (const cJSON *c = list ? list->child : NULL; c && has_clock; c = c->next, n++) {
        golden_template(c, scenarios, &now);
    }
    report(n > 0 && (n_refused - before) * 50 <= n, "at most 2 % of the templates refused", n);
    cJSON_Delete(json);
}

static void run_others(void)
{
    cJSON *json = load("jinjacpp_test_chat_template.json");
    zoo_clock now;
    if (!json) {
        return;
    }
    bool has_clock = zoo_clock_parse("2025-12-17T12:00:00", &now);
    for (const cJSON *c = json->child; c && has_clock; c = c->next) {
        other_template(c, &now);
    }
    cJSON_Delete(json);
}

int main(void)
{
    run_golden();
    run_others();
    printf("1..%d\n# %d cases, %d templates refused\n", n_tests, n_cases, n_refused);
    return n_failed ? 1 : 0;
}
