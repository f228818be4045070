namespace KestrelNetpoll.Native.Polling;

/// <summary>What a registration asks to be told of, once and for the descriptor's whole life.</summary>
internal enum PollInterest : byte
{
    /// <summary>Both directions, and hang-ups.</summary>
    Everything,

    /// <summary>
    /// Urgent data, too. Not of files: some tell of such a condition once, to whoever looks first, and that is to be
    /// the one who has asked (<see cref="Files.FilePriorityWatch"/>).
    /// </summary>
    Socket,

    /// <summary>
    /// The open file is registered with several pollers, and an event need reach only one of them: for readable files that nobody else
    /// hangs up on.
    /// </summary>
    SharedListener,
}
