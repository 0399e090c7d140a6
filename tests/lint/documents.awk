# documents.awk: what a Markdown file names of the tree and of the program, one reference a line:
#
#   FILE:LINE link TARGET              ](TARGET), relative to the file's folder; web addresses apart
#   FILE:LINE path PATH                a path from the root of the tree, anywhere in the text
#   FILE:LINE code NAME                a file in inline code: room/file, or a name with a suffix
#   FILE:LINE command NAME             `lmzoo NAME` in inline code or a code block
#   FILE:LINE option NAME OPTION       and an option behind it
#   FILE:LINE option * OPTION          an option that begins a piece of inline code
#
# -v top: folders of the root, -v rooms: folders of host/, each with spaces between and around.
# LINE is where the paragraph begins. Names with a placeholder (<NAME>, {a,b}, $VAR) are left out.

function emit(kind, what) { print FILENAME ":" begin " " kind " " what }

# Words of the text that are paths of the tree.
function paths(text,   n, words, i, word) {
    n = split(text, words, /[^A-Za-z0-9_.*\/<>{}$-]+/)
    for (i = 1; i <= n; i++) {
        word = words[i]
        sub(/[.]+$/, "", word)
        if (word ~ /^[^\/]+\// && word !~ /[<>{}$]/ &&
            index(top, " " substr(word, 1, index(word, "/") - 1) " "))
            emit("path", word)
    }
}

function links(text,   target) {
    while (match(text, /\]\([^) ]+\)/)) {
        target = substr(text, RSTART + 2, RLENGTH - 3)
        text = substr(text, RSTART + RLENGTH)
        sub(/#.*/, "", target)
        if (target != "" && target !~ /^[a-z]+:/)
            emit("link", target)
    }
}

# Each `lmzoo NAME` with the options up to the end of the command.
function commands(text,   name, rest, n, words, i) {
    while (match(text, /(^|[^A-Za-z0-9_.-])lmzoo[ \n]+[a-z][a-z-]*/)) {
        name = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        sub(/.*[ \n]/, "", name)
        if (name == "import") continue # Python
        emit("command", name)
        rest = text
        sub(/( [|] |[#;&)>]|lmzoo ).*/, "", rest)
        n = split(rest, words, /[ \n]+/)
        for (i = 1; i <= n; i++)
            if (words[i] ~ /^--?[a-z]/) {
                sub(/[^a-zA-Z-].*/, "", words[i])
                emit("option", name " " words[i])
            }
    }
}

function inline_code(text,   word) {
    commands(text)
    word = text
    sub(/[ =\n].*/, "", word)
    if (word ~ /^--[a-z]/)
        emit("option", "* " word)
    if (text !~ /^[A-Za-z0-9_.*\/-]+$/ || text ~ /^[.]/)
        return
    if (index(text, "/") ? index(rooms, " " substr(text, 1, index(text, "/") - 1) " ") \
                         : text ~ /[.](c|h|inc|sh|py|md|cmake)$/)
        emit("code", text)
}

# A paragraph, table row or heading: inline code is every other piece between backticks.
function flush_text(   n, pieces, i) {
    links(text)
    paths(text)
    n = split(text, pieces, "`")
    for (i = 2; i <= n; i += 2)
        inline_code(pieces[i])
    text = ""
}

# A command of a code block, joined with the lines that it goes on in.
function flush_code() {
    paths(code)
    commands(code)
    code = ""
}

function flush_all() {
    if (text != "") flush_text()
    if (code != "") flush_code()
}

/^```/ { flush_all(); fence = !fence; next }
fence || /^    / {
    if (text != "") flush_text()
    if (code == "") begin = FNR
    more = /\\$/
    sub(/\\$/, " ")
    code = code $0
    if (!more) flush_code()
    next
}
{
    if (code != "") flush_code()
    if (/^[|#]/ || /^ *([*-]|[0-9]+[.]) / || !NF) flush_all()
    if (text == "") begin = FNR
    text = text (text == "" ? "" : "\n") $0
    if (/^[|#]/ || !NF) flush_text()
}
END { flush_all() }
