using ArchUnitNET.Domain;
using ArchUnitNET.Loader;

namespace ProxyTune.Architecture.Tests;

/// <summary>The dependencies between the source files of a project, read from its compiled assembly.</summary>
internal sealed class Dependencies
{
    private static readonly Dictionary<string, Dependencies> Known = [];

    private Dependencies(string project)
    {
        Tree = new SourceTree(project);
        ArchUnitNET.Domain.Architecture architecture = new ArchLoader().LoadFilteredDirectory(Output.Of(project == "Trainer" ? project : "Gateway"), $"ProxyTune.{project}.dll").Build();
        foreach (IType type in architecture.Types)
        {
            if (Tree.FileOf(type.FullName) is not { } from)
            {
                continue;
            }

            foreach (string target in type.Dependencies.Select(dependency => dependency.Target.FullName))
            {
                if (Tree.FileOf(target) is { } to && to != from)
                {
                    Edges.Add((from, to));
                }
            }
        }
    }

    public SourceTree Tree { get; }

    /// <summary>Dependencies as pairs of paths below the folder of the project.</summary>
    public HashSet<(string From, string To)> Edges { get; } = [];

    public static Dependencies Of(string project)
    {
        lock (Known)
        {
            return Known.TryGetValue(project, out Dependencies? known) ? known : Known[project] = new(project);
        }
    }
}
