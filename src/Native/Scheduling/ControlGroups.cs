using System.Text;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The folders of the control groups that bound this process: its own and all above it that can be seen, of version 1 and 2, and of both
/// where both are mounted. The smallest of their limits counts. A process can be moved, so they are looked for anew when its list of groups
/// has changed. Not thread-safe.
/// </summary>
/// <param name="files">The files of the kernel.</param>
/// <param name="controller">As version 1 names it: <c>pids</c>, <c>memory</c>.</param>
internal sealed class ControlGroups(KernelFiles files, string controller)
{
    private const string MembershipPath = "/proc/self/cgroup";
    private const string MountsPath = "/proc/self/mountinfo";

    private string? _membership;
    private List<ControlGroup> _groups = [];

    internal IReadOnlyList<ControlGroup> Find()
    {
        string? membership = files.Read(MembershipPath);
        if (membership is null)
        {
            // None, or not now: then those from before.
            return _groups;
        }

        if (membership != _membership)
        {
            string? mounts = files.Read(MountsPath);
            if (mounts is null)
            {
                return _groups;
            }

            _groups = Resolve(membership, mounts);
            _membership = membership;
        }

        return _groups;
    }

    // A line of the membership is ID:CONTROLLERS:PATH; version 2 has no controllers there.
    private List<ControlGroup> Resolve(string membership, string mounts)
    {
        List<ControlGroup> groups = [];
        foreach (string line in membership.Split('\n'))
        {
            string[] parts = line.Split(':', 3);
            if (parts.Length != 3)
            {
                continue;
            }

            bool unified = parts[1].Length == 0;
            if ((unified || parts[1].Split(',').Contains(controller))
                && FindFolder(mounts, unified, parts[2], out string mountPoint) is { } folder)
            {
                AddUpwards(groups, folder, mountPoint, unified);
            }
        }

        return groups;
    }

    // A line of the mounts is ID PARENT DEVICE ROOT MOUNTPOINT OPTIONS... - TYPE SOURCE SUPEROPTIONS. The root is the group that is seen at
    // the mount point: in a container mostly its own, which the membership names from the outside, unless it has a namespace. In the
    // mounts, and not in the membership, white space and backslashes (systemd's names have some) are written in octal.
    private string? FindFolder(string mounts, bool unified, string path, out string mountPoint)
    {
        string? folder = null;
        mountPoint = "";
        foreach (string line in mounts.Split('\n'))
        {
            int separator = line.IndexOf(" - ", StringComparison.Ordinal);
            string[] mount = line.Split(' ');
            string[] system = separator < 0 ? [] : line[(separator + 3)..].Split(' ');
            if (mount.Length < 5 || system.Length < 3 || !IsMountOfOurs(system, unified))
            {
                continue;
            }

            string root = mount[3] == "/" ? "" : Unescape(mount[3]);
            bool isBelow = path == root || path.StartsWith(root + "/", StringComparison.Ordinal);
            if (isBelow || folder is null)
            {
                string relative = isBelow ? path[root.Length..].TrimEnd('/') : "";
                mountPoint = Unescape(mount[4]).TrimEnd('/');
                folder = mountPoint + (relative.Contains("/..", StringComparison.Ordinal) ? "" : relative);
            }

            if (isBelow)
            {
                break;
            }
        }

        return folder;
    }

    private bool IsMountOfOurs(string[] system, bool unified) =>
        unified ? system[0] == "cgroup2" : system[0] == "cgroup" && system[2].Split(',').Contains(controller);

    private static string Unescape(string field)
    {
        if (!field.Contains('\\', StringComparison.Ordinal))
        {
            return field;
        }

        var text = new StringBuilder();
        for (int i = 0; i < field.Length; i++)
        {
            if (field[i] == '\\' && i + 3 < field.Length && field.AsSpan(i + 1, 3).IndexOfAnyExceptInRange('0', '7') < 0)
            {
                text.Append((char)(((field[i + 1] - '0') * 64) + ((field[i + 2] - '0') * 8) + (field[i + 3] - '0')));
                i += 3;
            }
            else
            {
                text.Append(field[i]);
            }
        }

        return text.ToString();
    }

    private static void AddUpwards(List<ControlGroup> groups, string folder, string mountPoint, bool unified)
    {
        while (folder.Length >= mountPoint.Length)
        {
            groups.Add(new ControlGroup(folder, unified));
            int slash = folder.LastIndexOf('/');
            folder = slash < 0 ? "" : folder[..slash];
            if (slash < 0)
            {
                break;
            }
        }
    }
}

/// <summary>A control group.</summary>
/// <param name="Folder">Where its files are.</param>
/// <param name="IsUnified">Version 2.</param>
internal readonly record struct ControlGroup(string Folder, bool IsUnified);
