#!/bin/sh
# models.d/classes is what tools/reference/classes.py writes from transformers. LMZOO_PYTHON names a Python that has it.
set -u
python=${LMZOO_PYTHON:-python3}
wanted=$(sed -n 's/^transformers==//p' "$LMZOO_SOURCE/tools/reference/requirements.txt")
found=$("$python" -c 'import importlib.metadata as m; print(m.version("transformers"))' 2>/dev/null)
echo 1..1
if [ "$found" != "$wanted" ]; then
    echo "ok 1 - classes # SKIP LMZOO_PYTHON has transformers ${found:-not at all}, $wanted is needed"
    exit 0
fi
if "$python" "$LMZOO_SOURCE/tools/reference/classes.py" --check >"$TMPDIR/out" 2>&1; then
    echo "ok 1 - classes"
else
    echo "not ok 1 - classes"
    sed 's/^/# /' "$TMPDIR/out"
    exit 1
fi
