/* gallery_frame.c: what all pages of the gallery share: frame, style, script. */
#include "gallery/gallery.h"

void zoo_gallery_begin(zoo_out *out, const char *title, const char *up)
{
    zoo_out_text(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                      "<title>");
    zoo_out_escaped(out, title);
    zoo_out_format(out,
                   "</title>\n<link rel=\"icon\" href=\"data:,\">\n"
                   "<link rel=\"stylesheet\" href=\"%sstyle.css\">\n"
                   "<script defer src=\"%sscript.js\"></script>\n</head>\n<body>\n<nav>"
                   "<a href=\"%sindex.html\">Releases</a> <a href=\"%stree.html\">Family tree</a> "
                   "<a href=\"%sideas.html\">Ideas</a></nav>\n<main>\n",
                   up, up, up, up, up);
}

void zoo_gallery_end(zoo_out *out)
{
    zoo_out_text(out, "</main>\n</body>\n</html>\n");
}

const char *zoo_gallery_style(void)
{
    return ":root{color-scheme:light dark;--bg:#fff;--fg:#1b2330;--soft:#566173;--line:#d5dbe4;"
           "--card:#f7f9fc;--link:#1c55b8;--kept:#e6c229;--read:#5b8def}\n"
           "@media(prefers-color-scheme:dark){:root{--bg:#12171e;--fg:#e8edf4;--soft:#a9b4c4;"
           "--line:#39424f;--card:#1a212b;--link:#8ab4ff;--kept:#b8971c;--read:#4f7fd6}}\n"
           "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);"
           "font:16px/1.5 system-ui,Helvetica,Arial,sans-serif}\n"
           "nav{padding:.7rem 1rem;border-bottom:1px solid var(--line)}nav a{margin-right:1.2rem}\n"
           "main{max-width:70rem;margin:0 auto;padding:1rem}a{color:var(--link)}\n"
           "h1{font-size:1.6rem;line-height:1.2;overflow-wrap:anywhere}h2{font-size:1.25rem;"
           "margin-top:2rem}h3{font-size:1.05rem}\n"
           ".scroll{overflow-x:auto;max-width:100%}.scroll img{min-width:700px;width:100%;"
           "max-width:800px;height:auto;display:block}\n"
           "table{border-collapse:collapse;font-size:.92rem}th,td{padding:.35rem .6rem;"
           "border-bottom:1px solid var(--line);text-align:left;vertical-align:top}\n"
           ".n{text-align:right}.n,.d{white-space:nowrap}th[data-sort]{cursor:pointer;"
           "text-decoration:underline dotted}\n"
           "input{font:inherit;padding:.4rem .6rem;width:100%;max-width:26rem;margin:.3rem 0 1rem;"
           "border:1px solid var(--line);border-radius:6px;background:var(--card);color:inherit}\n"
           ".soft{color:var(--soft)}pre{background:var(--card);padding:.8rem;overflow-x:auto;"
           "border:1px solid var(--line);border-radius:6px;font-size:.85rem}\n"
           "li{overflow-wrap:anywhere}.tree ul{border-left:1px solid var(--line);margin:0;"
           "padding-left:1.1rem}.tree li{margin:.25rem 0}\n"
           ".bar{display:grid;grid-template-columns:minmax(7rem,13rem) 1fr;gap:.2rem .7rem;"
           "align-items:center;margin:.5rem 0;font-size:.9rem}.bar "
           "div{height:.7rem;min-width:2px}\n"
           ".a{background:var(--kept)}.b{background:var(--read)}\n";
}

const char *zoo_gallery_script(void)
{
    return "'use strict';\n"
           "for (const table of document.querySelectorAll('table.sortable')) {\n"
           "  const heads = [...table.tHead.rows[0].cells];\n"
           "  heads.forEach((head, column) => {\n"
           "    head.dataset.sort = '';\n"
           "    head.tabIndex = 0;\n"
           "    const sort = () => {\n"
           "      const down = head.dataset.sort === 'up';\n"
           "      heads.forEach((other) => { other.dataset.sort = ''; other.ariaSort = 'none'; "
           "});\n"
           "      head.dataset.sort = down ? 'down' : 'up';\n"
           "      head.ariaSort = down ? 'descending' : 'ascending';\n"
           "      const value = (row) => row.cells[column].dataset.v ?? "
           "row.cells[column].textContent;\n"
           "      const rows = [...table.tBodies[0].rows];\n"
           "      rows.sort((a, b) => {\n"
           "        const x = value(a), y = value(b), n = Number(x) - Number(y);\n"
           "        if ((x === '') !== (y === '')) return x === '' ? 1 : -1;\n"
           "        const order = Number.isNaN(n) ? x.localeCompare(y) : n;\n"
           "        return down ? -order : order;\n"
           "      });\n"
           "      table.tBodies[0].append(...rows);\n"
           "    };\n"
           "    head.addEventListener('click', sort);\n"
           "    head.addEventListener('keydown', (e) => { if (e.key === 'Enter') sort(); });\n"
           "  });\n"
           "}\n"
           "const filter = document.querySelector('#filter');\n"
           "if (filter) {\n"
           "  filter.hidden = false;\n"
           "  filter.addEventListener('input', () => {\n"
           "    const words = filter.value.toLowerCase().split(/\\s+/);\n"
           "    for (const row of document.querySelectorAll('table.sortable tbody tr')) {\n"
           "      const text = row.textContent.toLowerCase();\n"
           "      row.hidden = !words.every((word) => text.includes(word));\n"
           "    }\n"
           "  });\n"
           "}\n";
}
