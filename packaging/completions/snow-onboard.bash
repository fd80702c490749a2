_snow_onboard_complete() {
    local words=("${COMP_WORDS[@]:0:COMP_CWORD}" "$2")
    # Parted at line ends alone, and with no pattern in it: the answers are words of letters, digits and -._=
    local IFS=$'\n'
    COMPREPLY=($(_SNOW_ONBOARD_COMPLETE=bash snow-onboard -- "${words[@]}" 2>/dev/null))
}
# Without an answer bash completes files itself, and quotes them.
complete -o bashdefault -o default -o nosort -F _snow_onboard_complete snow-onboard 2>/dev/null ||
    complete -o bashdefault -o default -F _snow_onboard_complete snow-onboard
