using System.Runtime.CompilerServices;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests;

/// <summary>Makes the town's sources known before the first test, as the program does at its start.</summary>
internal static class BuiltIn
{
    [ModuleInitializer]
    public static void Add() => Sources.Add(TownData.BuiltIn);
}
