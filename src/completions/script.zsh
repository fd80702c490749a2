#compdef snow-onboard
_snow_onboard_complete() {
    local -a answers
    answers=("${(@f)$(_SNOW_ONBOARD_COMPLETE=zsh snow-onboard -- "${(@)words[1,CURRENT]}" 2>/dev/null)}")
    if [[ -n $answers[1] ]]; then
        _describe -V 'values' answers
    else
        # Quoted by zsh itself; of --flag=FILE what follows the sign.
        compset -P '--[a-z-]#='
        _files
    fi
}
compdef _snow_onboard_complete snow-onboard
# From a folder of $fpath it is loaded as a function at the first Tab, which is to be answered already.
if [[ ${funcstack[1]} == _snow-onboard ]]; then _snow_onboard_complete "$@"; fi
