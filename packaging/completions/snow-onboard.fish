function __snow_onboard_complete
    set -l word (commandline --current-token --cut-at-cursor)
    set -l answers (_SNOW_ONBOARD_COMPLETE=fish snow-onboard -- (commandline --current-process --tokenize --cut-at-cursor) "$word" 2>/dev/null)
    if set -q answers[1]
        printf '%s\n' $answers
    else
        # Quoted by fish itself.
        __fish_complete_path "$word"
    end
end
complete --keep-order --no-files --command snow-onboard --arguments "(__snow_onboard_complete)"
