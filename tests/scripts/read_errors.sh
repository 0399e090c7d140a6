#!/bin/sh
# A read error in the embedding table, a file truncated while its weights are packed: every command
# that runs a model ends with exit code 4 and one sentence that names the file, and writes no answer.
# A shim makes pread fail on checkpoints, or truncates the mapped file when threads start.
set -u
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
sanitized=$(sed -n 's/^LMZOO_SANITIZE:STRING=//p' "$LMZOO_BUILD/CMakeCache.txt")
[ -z "$sanitized" ] || skip_all "a shim cannot stand before the $sanitized sanitizer"
model=$LMZOO_SOURCE/demo/models/demo-llama
cat >"$TMPDIR/shim.c" <<'END'
/* pread of a *.safetensors fails with EIO from the LMZOO_SHIM_FROM-th call on, or, with
 * LMZOO_SHIM_END, finds the end of the file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef ssize_t pread_fn(int fd, void *bytes, size_t n, off_t at);

static ssize_t faulty(const char *name, int fd, void *bytes, size_t n, off_t at)
{
    static atomic_int n_calls;
    char link[64], path[4096] = "";
    const char *from = getenv("LMZOO_SHIM_FROM");
    pread_fn *real;
    *(void **)&real = dlsym(RTLD_NEXT, name);
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    (void)!readlink(link, path, sizeof path - 1);
    if (!strstr(path, ".safetensors") || atomic_fetch_add(&n_calls, 1) < atoi(from ? from : "0")) {
        return real(fd, bytes, n, at);
    }
    errno = EIO;
    return getenv("LMZOO_SHIM_END") ? 0 : -1;
}

ssize_t pread(int fd, void *bytes, size_t n, off_t at) { return faulty("pread", fd, bytes, n, at); }
ssize_t pread64(int fd, void *bytes, size_t n, off_t at)
{
    return faulty("pread64", fd, bytes, n, at);
}

typedef int create_fn(pthread_t *thread, const pthread_attr_t *how, void *(*fn)(void *), void *arg);

/* Libraries may start threads of their own before that. */
static int is_mapped(const char *path)
{
    char line[4600];
    FILE *maps = fopen("/proc/self/maps", "r");
    int found = 0;
    while (path && maps && !found && fgets(line, sizeof line, maps)) {
        found = strstr(line, path) != NULL;
    }
    if (maps) {
        (void)fclose(maps);
    }
    return found;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*fn)(void *), void *arg)
{
    const char *path = getenv("LMZOO_SHIM_CUT");
    create_fn *real;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    if (is_mapped(path)) {
        (void)!truncate(path, 40960);
    }
    return real(thread, how, fn, arg);
}
END
cc -shared -fPIC -o "$TMPDIR/shim.so" "$TMPDIR/shim.c" -ldl || skip_all "no shared library can be made"

# A table of more than a MiB, which is not held in memory: the same model with more rows.
mkdir -p "$TMPDIR/large/demo-llama"
cp -L "$model"/* "$TMPDIR/large/demo-llama"
python3 - "$TMPDIR/large/demo-llama" <<'END' || skip_all "no python3"
import json, struct, sys

folder, rows = sys.argv[1], 6000
with open(folder + "/model.safetensors", "rb") as f:
    header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    payload = f.read()
header.pop("__metadata__", None)
out, at = b"", 0
for name, tensor in header.items():
    begin, end = tensor["data_offsets"]
    part = payload[begin:end]
    if "embed_tokens" in name or "lm_head" in name:
        part = part.ljust(rows * len(part) // tensor["shape"][0], b"\0")
        tensor["shape"][0] = rows
    tensor["data_offsets"] = [at, at + len(part)]
    out, at = out + part, at + len(part)
text = json.dumps(header).encode()
with open(folder + "/model.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + out)
with open(folder + "/config.json") as f:
    config = json.load(f)
with open(folder + "/config.json", "w") as f:
    json.dump(config | {"vocab_size": rows}, f)
END
small=$model
model=$TMPDIR/large/demo-llama

n=0
# refused NAME WORDS COMMAND...: exit code 4, one sentence on stderr that has WORDS and the file
refused() {
    name=$1
    words=$2
    shift 2
    n=$((n + 1))
    LD_PRELOAD=$TMPDIR/shim.so "$LMZOO_BUILD/lmzoo" "$@" >"$TMPDIR/out" 2>"$TMPDIR/err"
    status=$?
    if [ $status -eq 4 ] && [ "$(grep -c "$words" "$TMPDIR/err")" -eq 1 ] &&
        grep -q "demo-llama/model.safetensors" "$TMPDIR/err"; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name: exit code $status"
        sed 's/^/# /' "$TMPDIR/err"
    fi
}
# nothing NAME FILE: the file is empty or absent
nothing() {
    n=$((n + 1))
    if [ -s "$2" ]; then
        echo "not ok $n - $1"
        sed 's/^/# /' "$2"
    else
        echo "ok $n - $1"
    fi
}

export LMZOO_SHIM_FROM=0
refused "run" "Input/output error" run "$model" --tokens 1,2,3 --json
nothing "run answers nothing" "$TMPDIR/out"
refused "trace" "Input/output error" trace "$model" --tokens 1,2,3 -o "$TMPDIR/trace.safetensors"
nothing "trace writes nothing" "$TMPDIR/trace.safetensors"
echo "some text" >"$TMPDIR/text.txt"
refused "score" "Input/output error" score "$model" -i "$TMPDIR/text.txt"
refused "bench" "Input/output error" bench "$model" --prompt 4 --new 2 --batch 1 --tests batch
cat >"$TMPDIR/in.jsonl" <<'END'
{"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": {"model": "m", "prompt": [1, 2, 3], "max_tokens": 4}}
END
refused "batch" "Input/output error" batch "$model" -i "$TMPDIR/in.jsonl" -o "$TMPDIR/results.jsonl"
nothing "batch answers nothing" "$TMPDIR/results.jsonl"

# In the middle of an answer: the first rows are good.
LMZOO_SHIM_FROM=5 refused "run, at the third token" "Input/output error" \
    run "$model" --tokens 1,2,3 -n 20 --temperature 0 --json
LMZOO_SHIM_END=1 refused "a truncated file" "ends inside tensor" run "$model" --tokens 1,2,3 --json

LMZOO_SHIM_FROM=0 refused "a table that would be held" "Input/output error" \
    run "$small" --tokens 1,2,3 --json

mkdir "$TMPDIR/demo-llama"
cp -L "$model"/* "$TMPDIR/demo-llama"
LMZOO_SHIM_FROM=1000000 LMZOO_SHIM_CUT=$TMPDIR/demo-llama/model.safetensors refused \
    "a file that is truncated while it is packed" "cannot be read any more" \
    run "$TMPDIR/demo-llama" --tokens 1,2,3 --threads 2 --json

# The same batch goes on when the disk works again.
n=$((n + 1))
"$LMZOO_BUILD/lmzoo" batch "$model" -i "$TMPDIR/in.jsonl" -o "$TMPDIR/results.jsonl" \
    >"$TMPDIR/out" 2>&1 && [ "$(wc -l <"$TMPDIR/results.jsonl")" -eq 1 ]
status=$?
[ $status -eq 0 ] && echo "ok $n - batch resumes" || echo "not ok $n - batch resumes"
echo "1..$n"
