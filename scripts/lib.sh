# Sourced by the scripts beside it: says what fails, and finds a Python and uv.

fail() { # fail SENTENCE : end with one clear sentence
    echo "set-up: $*." >&2
    exit 1
}

fits() { # fits PYTHON : can it run this project and make a virtual environment?
    # Executed rather than looked for: a version manager's shim may exist and fail.
    "$1" -I -c 'import ensurepip, sys, venv; sys.exit(not (3, 13) <= sys.version_info < (3, 15))' \
        </dev/null >/dev/null 2>&1
}

find_python() { # find_python : print a Python >= 3.13,<3.15, or fail
    for python in python3.13 python3.14 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[34]*/bin/python; do
        if fits "$python"; then
            echo "$python"
            return
        fi
    done
    return 1
}

any_python() { # any_python : print some python3 that can make a virtual environment, or fail
    # Every folder of PATH is asked: the first python3 may be a shim for a missing version.
    old_ifs=$IFS
    IFS=:
    for folder in $PATH; do
        for python in "$folder"/python3 "$folder"/python3.[0-9] "$folder"/python3.[0-9][0-9]; do
            if [ -x "$python" ] && "$python" -I -c 'import ensurepip, venv' </dev/null >/dev/null 2>&1
            then
                IFS=$old_ifs
                echo "$python"
                return
            fi
        done
    done
    IFS=$old_ifs
    return 1
}

find_uv() { # find_uv : print a uv, from PATH or installed into .tools by any python3
    if command -v uv; then
        return
    fi
    if ! .tools/bin/uv --version >/dev/null 2>&1; then
        python=$(any_python) || fail "uv is needed to get Python 3.13 and no python3 with its venv" \
            "module was found to install it with: install Python 3.13, uv, or the system's" \
            "python3-venv package, then try again"
        echo "set-up: installing uv into .tools" >&2
        rm -rf .tools
        "$python" -m venv .tools >&2 || fail "$python could not make .tools: see its message above"
        .tools/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
            --require-hashes --requirement locks/tools.lock >&2 ||
            fail "pip could not install uv: see its message above, and check the network"
    fi
    echo .tools/bin/uv
}
