using System.Text.RegularExpressions;
using KestrelNetpoll.Native;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Layout;

/// <summary>The picture of the rooms that the documents draw is the one that was compiled.</summary>
[OneMode]
public partial class ArchitectureTests
{
    // Of Interop, what a call has returned, and no call.
    private static readonly string[] Results = ["Errno", "SyscallResult", "SystemErrors"];

    // The folder of a system divides a room: its classes are parts of what the room has for all systems. So does that of the backends.
    private static readonly string[] Dividing = ["/Interop/Linux", "/Interop/Bsd", "/Polling/Backends"];

    private static readonly (string From, string To)[] Uses =
    [
        .. AssemblyUses.Of(typeof(NetpollFile).Assembly),
        .. AssemblyUses.Of(typeof(NetpollTransportFactory).Assembly),
    ];

    [Fact]
    public void The_rooms_stand_above_each_other_without_a_circle() => Assert.Null(Rooms.FindCircle());

    [Fact]
    public void Every_type_is_in_a_room_that_the_table_knows() => Assert.Empty(
        from use in Uses
        let room = Rooms.Of(use.From)
        where room is not null && !Rooms.IsKnown(room)
        select use.From);

    /// <summary>By what was compiled: also where a type is reached through others and named nowhere.</summary>
    [Fact]
    public void No_type_uses_a_room_above_its_own() => Assert.Empty(FindUpward(Uses));

    /// <summary>By the usings, which show what the compiler resolves: constants, names, references in comments.</summary>
    [Fact]
    public void No_file_names_a_room_above_its_own()
    {
        var named =
            from file in Repository.FilesOf(".cs", "src")
            let room = RoomOf(file)
            from line in Repository.LinesOf(file)
            let match = OwnUsing().Match(line)
            where match.Success && !Rooms.MayUse(room, match.Groups[1].Value)
            select $"{file} names {match.Groups[1].Value}";
        Assert.Empty(named);
    }

    [Fact]
    public void The_namespace_of_a_file_is_its_folder()
    {
        var moved =
            from file in Repository.FilesOf(".cs", "src")
            let expected = $"KestrelNetpoll.{NamespaceOf(file)}"
            let line = Repository.LinesOf(file).FirstOrDefault(static line => line.StartsWith("namespace ", StringComparison.Ordinal))
            where line is not null && line != $"namespace {expected};" && !IsOfFramework(line)
            select $"{file}: {line}";
        Assert.Empty(moved);
    }

    [Fact]
    public void The_transport_uses_results_of_system_calls_and_makes_none() => Assert.Empty(FindCalls(Uses));

    [Fact]
    public void The_transport_pins_nothing_and_declares_no_native_function()
    {
        var native =
            from file in Repository.FilesOf(".cs", "src/Transport")
            from line in Repository.LinesOf(file)
            let code = line.Split("//")[0]
            where NativeCode().IsMatch(code)
            select $"{file}: {line.Trim()}";
        Assert.Empty(native);
    }

    [Fact]
    public void Rules_about_types_see_what_breaks_them()
    {
        const string Reader = "KestrelNetpoll.Transport.Reading.SocketPipeReader";
        const string Connection = "KestrelNetpoll.Transport.Connections.NetpollConnection";
        const string Calls = "KestrelNetpoll.Native.Interop.SystemCalls";

        Assert.Equal([$"{Reader} > {Connection}"], FindUpward([(Reader, Connection), (Connection, Reader), (Reader, "System.Object")]));
        Assert.Equal(
            ["KestrelNetpoll.Native.Files.FileTraits > KestrelNetpoll.Native.NetpollFile"],
            FindUpward([("KestrelNetpoll.Native.Files.FileTraits", "KestrelNetpoll.Native.NetpollFile")]));
        Assert.Equal([$"{Reader} > {Calls}"], FindCalls([(Reader, Calls), (Reader, "KestrelNetpoll.Native.Interop.Errno")]));

        // What the compiler has been seen to make of a member that is reached through another one.
        Assert.Contains(("KestrelNetpoll.Native.Scheduling.WorkerGroup", "KestrelNetpoll.Native.Timers.DeadlineHeap"), Uses);
    }

    private static IEnumerable<string> FindUpward(IEnumerable<(string From, string To)> uses) =>
        from use in uses
        let rooms = (From: Rooms.Of(use.From), To: Rooms.Of(use.To))
        where rooms.From is not null && rooms.To is not null && !Rooms.MayUse(rooms.From, rooms.To)
        orderby use
        select $"{use.From} > {use.To}";

    private static IEnumerable<string> FindCalls(IEnumerable<(string From, string To)> uses) =>
        from use in uses
        where use.From.StartsWith("KestrelNetpoll.Transport.", StringComparison.Ordinal)
            && Rooms.Of(use.To) == Rooms.Interop
            && !Results.Contains(use.To[(use.To.LastIndexOf('.') + 1)..])
        orderby use
        select $"{use.From} > {use.To}";

    private static string RoomOf(string file)
    {
        string type = Path.GetFileName(file).Split('.')[0];
        return Rooms.Of($"Microsoft.AspNetCore.Builder.{type}")
            ?? Rooms.Of($"Microsoft.AspNetCore.Hosting.{type}")
            ?? Rooms.Of($"Microsoft.Extensions.DependencyInjection.{type}")
            ?? Rooms.Of($"KestrelNetpoll.{NamespaceOf(file)}.{type}")!;
    }

    private static string NamespaceOf(string file)
    {
        string folder = Path.GetDirectoryName(file)!["src/".Length..];
        bool divides = Dividing.Any(end => folder.EndsWith(end, StringComparison.Ordinal));
        return (divides ? Path.GetDirectoryName(folder)! : folder).Replace('/', '.');
    }

    // Where users look for methods that add something to what the framework has.
    private static bool IsOfFramework(string line) =>
        line is "namespace Microsoft.AspNetCore.Builder;" or "namespace Microsoft.AspNetCore.Hosting;"
            or "namespace Microsoft.Extensions.DependencyInjection;";

    [GeneratedRegex(@"^using (?:static )?KestrelNetpoll\.([\w.]+);$")]
    private static partial Regex OwnUsing();

    [GeneratedRegex(@"\b(LibraryImport|DllImport|LibC|SystemCalls|iovec|unsafe|fixed|stackalloc iovec|GCHandle|Marshal)\b|\.Pin\(")]
    private static partial Regex NativeCode();
}
