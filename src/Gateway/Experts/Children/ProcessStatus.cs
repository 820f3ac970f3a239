using System.Globalization;

namespace ProxyTune.Gateway.Experts;

/// <summary>What Linux tells of a process's memory in /proc/PID/status.</summary>
internal static class ProcessStatus
{
    /// <param name="process">Its id, or <c>self</c>.</param>
    /// <param name="field">Such as RssAnon.</param>
    /// <returns>Bytes; 0 where the system does not tell.</returns>
    /// <exception cref="IOException">The process is gone.</exception>
    public static long Bytes(string process, string field)
    {
        string? line = OperatingSystem.IsLinux() ? File.ReadLines($"/proc/{process}/status").FirstOrDefault(line => line.StartsWith(field + ":", StringComparison.Ordinal)) : null;
        return line is null ? 0 : long.Parse(line.Split(':', ' ', '\t').First(part => part.Length > 0 && char.IsAsciiDigit(part[0])), CultureInfo.InvariantCulture) * 1024;
    }
}
