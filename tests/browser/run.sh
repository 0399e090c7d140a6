#!/bin/sh
# The gallery in a real browser: every page opens without console messages, no link is broken, sorting works, it fits a
# phone's screen.
# Needs Chromium (Debian's); skipped by name without it.
set -u
n=0
result() { # STATUS NAME
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}
site=$TMPDIR/site
begun=$(date +%s)
"$LMZOO_BUILD/lmzoo" gallery -o "$site" 2>"$TMPDIR/err"
result $? "the site is built"
took=$(($(date +%s) - begun))
echo "# $(find "$site" -type f | wc -l) files, $(du -sk "$site" | cut -f1) KiB, $took s"
"$LMZOO_BUILD/lmzoo" gallery 2>"$TMPDIR/err"
[ $? -eq 2 ] && [ "$(wc -l <"$TMPDIR/err")" -eq 1 ]
result $? "without -o: exit code 2 and one sentence"

# Each href and src of each page names a file of the site.
find "$site" -name '*.html' | while read -r page; do
    grep -oE '(href|src)="[^"]*"' "$page" | sed 's/^[a-z]*="//; s/"$//' | grep -v '^data:' | sort -u |
        while read -r link; do
            [ -f "${page%/*}/$link" ] || echo "$page: $link"
        done
done >"$TMPDIR/broken"
[ ! -s "$TMPDIR/broken" ]
result $? "no link is broken"
sed 's/^/# /' "$TMPDIR/broken" | head -n 5
cards=$("$LMZOO_BUILD/lmzoo" cards | wc -l)
pages=$(find "$site/c" -name '*.html' | wc -l)
[ "$cards" -eq "$pages" ]
result $? "a page for each of $cards model types"

browser=$(command -v chromium || command -v chromium-browser || true)
if [ -z "$browser" ]; then
    for name in "pages open" "sorting" "phone width"; do
        result 0 "$name # SKIP no chromium"
    done
    echo "1..$n"
    exit 0
fi
open_page() { # URL: the page after its scripts, console lines in $TMPDIR/console
    timeout "${seconds:-60}" "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$TMPDIR/profile" \
        --allow-file-access-from-files --enable-logging=stderr --v=0 --window-size="${width:-1200},900" \
        --virtual-time-budget=${budget:-4000} --dump-dom "$1" 2>"$TMPDIR/log"
    grep -E 'CONSOLE|Uncaught|Refused' "$TMPDIR/log" >"$TMPDIR/console" || true
}

# One page opens all others in a frame, one by one, so that one start of the browser sees them all.
{
    echo '<!DOCTYPE html><meta charset="utf-8"><title>all</title><body><script>'
    echo 'const pages = ['
    (cd "$site" && find . -name '*.html' ! -name all.html | sort | sed 's/.*/"&",/')
    echo '];'
    cat <<'JS'
const wrong = [], frame = document.createElement('iframe');
let at = 0;
frame.onload = () => {
  const inner = frame.contentDocument;
  const broken = [...inner.images].filter((i) => i.naturalWidth === 0);
  if (inner.querySelector('h1') === null || broken.length > 0) wrong.push(pages[at]);
  at++;
  if (at < pages.length) frame.src = pages[at];
  else document.body.dataset.result = wrong.length ? 'wrong ' + wrong.join(' ') : 'all ' + pages.length;
};
frame.src = pages[0];
document.body.append(frame);
JS
    echo '</script>'
} >"$site/all.html"
seconds=300 budget=100000 open_page "file://$site/all.html" >"$TMPDIR/all"
grep -q "data-result=\"all $(find "$site" -name '*.html' ! -name all.html | wc -l)\"" "$TMPDIR/all"
result $? "every page opens and every picture is shown"
grep -o 'data-result="[^"]*"' "$TMPDIR/all" | cut -c 1-200 | sed 's/^/# /'
[ ! -s "$TMPDIR/console" ]
result $? "the console is empty"
head -n 5 "$TMPDIR/console" | sed 's/^/# /'
rm "$site/all.html"

cat >"$site/sort.html" <<'JS'
<!DOCTYPE html><meta charset="utf-8"><title>sort</title><body><iframe src="index.html" width="1200" height="900"></iframe><script>
document.querySelector('iframe').onload = (e) => {
  const page = e.target.contentDocument, table = page.querySelector('table.sortable');
  const column = 3, values = () => [...table.tBodies[0].rows].map((r) => Number(r.cells[column].dataset.v)).filter((v) => v > 0);
  const head = table.tHead.rows[0].cells[column];
  const rises = (list) => list.length > 20 && list.every((v, i) => i === 0 || list[i - 1] <= v);
  head.click();
  const up = rises(values());
  head.click();
  const down = rises(values().reverse());
  const filter = page.querySelector('#filter');
  filter.value = 'latent';
  filter.dispatchEvent(new page.defaultView.Event('input'));
  const rows = [...table.tBodies[0].rows], shown = rows.filter((r) => !r.hidden);
  const filtered = shown.length > 0 && shown.length < rows.length && shown.every((r) => r.textContent.includes('latent'));
  document.body.dataset.result = [up, down, filtered].join(' ');
};
</script>
JS
open_page "file://$site/sort.html" >"$TMPDIR/sort"
grep -q 'data-result="true true true"' "$TMPDIR/sort"
result $? "a click sorts up, another down, the filter filters"
grep -o 'data-result="[^"]*"' "$TMPDIR/sort" | sed 's/^/# /'
rm "$site/sort.html"

cat >"$site/phone.html" <<'JS'
<!DOCTYPE html><meta charset="utf-8"><title>phone</title><body><script>
const pages = ['index.html', 'tree.html', 'ideas.html', 'i/gqa.html'];
let left = pages.length, wide = [];
for (const page of pages) {
  const frame = document.createElement('iframe');
  frame.width = 390; frame.height = 800; frame.src = page;
  frame.onload = () => {
    const root = frame.contentDocument.documentElement;
    if (root.scrollWidth > 392) wide.push(page + ':' + root.scrollWidth);
    if (--left === 0) document.body.dataset.result = wide.length ? 'wide ' + wide.join(' ') : 'fits';
  };
  document.body.append(frame);
}
</script>
JS
first=$(cd "$site" && find r -name '*.html' | sort | head -n 1)
sed -i "s|'i/gqa.html'|'i/gqa.html', '$first'|" "$site/phone.html"
open_page "file://$site/phone.html" >"$TMPDIR/phone"
grep -q 'data-result="fits"' "$TMPDIR/phone"
result $? "at 390 pixels no page is wider than the screen"
grep -o 'data-result="[^"]*"' "$TMPDIR/phone" | sed 's/^/# /'
echo "1..$n"
